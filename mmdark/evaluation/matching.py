"""Match detections to faces over a whole data set; shared by both protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from mmdark.errors import InputError

from .average_precision import Score, exact_average_precision, normalised_scores, thresholded_average_precision

IOU_THRESHOLD = 0.5
"""``IoU_thresh`` of ``evaluation.m``, the same for WIDER FACE and DARK FACE."""

_PAIRS_AT_ONCE = 1 << 20
"""Maximum number of detection-face pairs per step; limits the memory to about 100 MiB."""

Overlap = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Returns the overlaps of boxes ``(N, 1, 4)`` with faces ``(M, 4)``, shape ``(N, M)``."""


class Matched(NamedTuple):
    """All detections of a data set and the faces that they match.

    Attributes:
        scores: shape ``(P,)``, float64; image by image, in descending order within each image.
        face: shape ``(P,)``, the index of the matched face among all faces of the data set, or -1.
        is_first: shape ``(P,)``, whether this is the first detection that matches its face.
        has_faces: shape ``(P,)``, whether the image has any face.
    """

    scores: np.ndarray
    face: np.ndarray
    is_first: np.ndarray
    has_faces: np.ndarray


def checked_rows(rows: np.ndarray, columns: int, name: str) -> np.ndarray:
    """Check rows of finite numbers and return them as float64, shape ``(N, columns)``; empty arrays may have any shape.

    Raises:
        InputError: the values are not numbers, the shape is wrong, or a value is not finite; the message starts with
            ``name``.
    """
    try:
        rows = np.asarray(rows, np.float64)
    except (TypeError, ValueError):
        raise InputError(f'{name}: expected rows of {columns} numbers; write every row with as many') from None
    if rows.size == 0:
        return np.zeros((0, columns))
    if rows.ndim != 2 or rows.shape[1] != columns:
        raise InputError(f'{name}: expected rows of {columns} numbers; got an array of shape {rows.shape}')
    strange = np.flatnonzero(~np.isfinite(rows).all(1))
    if strange.size:
        raise InputError(f'{name}: row {strange[0]} holds a value that is not a finite number; take that row out')
    return rows


def overlap(boxes: np.ndarray, faces: np.ndarray, border: float = 1.0) -> np.ndarray:
    """IoU in floating point.

    Args:
        boxes: x1 y1 x2 y2, shape ``(..., 4)``.
        faces: x1 y1 x2 y2; the shapes are broadcast.
        border: added to widths and heights: 1 in ``boxoverlap.m`` of both protocols, 0 in other benchmarks.

    Returns:
        Shape ``(...)``, 0 if the boxes do not intersect.

    Example:
        >>> overlap(np.array([[0, 0, 9, 9.0]]), np.array([[0, 0, 9, 4.0]]))
        array([0.5])
    """
    sides = intersection_sides(boxes, faces) + border
    shared = sides[..., 0] * sides[..., 1]
    union = area(faces, border) + area(boxes, border) - shared
    return np.divide(shared, union, out=np.zeros(shared.shape), where=(sides > 0).all(-1))


def intersection_sides(boxes: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Width and height of the intersection, shape ``(..., 2)``; not positive if the boxes do not intersect."""
    return np.minimum(boxes[..., 2:4], faces[..., 2:4]) - np.maximum(boxes[..., :2], faces[..., :2])


def area(boxes: np.ndarray, border: float = 1.0) -> np.ndarray:
    """The area of boxes x1 y1 x2 y2, shape ``(..., 4)``, with ``border`` added to widths and heights."""
    return (boxes[..., 2] - boxes[..., 0] + border) * (boxes[..., 3] - boxes[..., 1] + border)


def found_faces(boxes: np.ndarray, faces: np.ndarray, overlap: Overlap) -> np.ndarray:
    """The face that each box matches: the first one with the highest overlap, if that is at least 0.5.

    Args:
        boxes: x1 y1 x2 y2, shape ``(N, 4)``.
        faces: x1 y1 x2 y2, shape ``(M, 4)``.
        overlap: overlap function of the protocol.

    Returns:
        Shape ``(N,)``, the index of the face or -1.
    """
    found = np.full(len(boxes), -1)
    if not len(faces):
        return found
    step = max(1, _PAIRS_AT_ONCE // len(faces))
    for start in range(0, len(boxes), step):
        some = slice(start, start + step)
        with np.errstate(over='ignore', invalid='ignore'):  # boxes may be huge
            overlaps = overlap(boxes[some, None], faces)
        overlaps[~(overlaps >= IOU_THRESHOLD)] = 0  # NaN too
        found[some] = np.where(overlaps.any(1), overlaps.argmax(1), -1)
    return found


def match(images: Iterable[tuple[np.ndarray, np.ndarray]], overlap: Overlap) -> Matched:
    """Match the detections of each image to its faces.

    The detections of an image are sorted by descending score; those of equal score keep their order.

    Args:
        images: detections and faces of each image: x1 y1 x2 y2 score, shape ``(N, 5)``, and x1 y1 x2 y2, ``(M, 4)``.
        overlap: as in :func:`found_faces`.
    """
    scores, face, has_faces, num_faces = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0, bool)], 0
    for detections, faces in images:
        detections = detections[np.argsort(-detections[:, 4], kind='stable')]
        found = found_faces(detections[:, :4], faces, overlap)
        scores.append(detections[:, 4])
        face.append(np.where(found >= 0, found + num_faces, -1))
        has_faces.append(np.full(len(found), len(faces) > 0))
        num_faces += len(faces)
    face = np.concatenate(face)
    is_first = np.zeros(len(face), bool)
    is_first[np.unique(face, return_index=True)[1]] = True
    return Matched(np.concatenate(scores), face, is_first & (face >= 0), np.concatenate(has_faces))


def score(matched: Matched, kept: np.ndarray, equal_is_one: bool = False) -> Score:
    """Official and exact average precision of matched detections.

    A detection that matches a face outside ``kept``, or is on an image without faces, is neither a true nor a false
    positive. A second detection of a kept face is a false positive.

    Args:
        matched: result of :func:`match`.
        kept: which faces of the data set are evaluated, shape ``(F,)``, bool.
        equal_is_one: as in :func:`normalised_scores`.
    """
    counts = np.append(kept, True)[matched.face] & matched.has_faces  # the last, True, is for a face of -1
    is_true = matched.is_first[counts]
    num_faces = int(np.count_nonzero(kept))
    normalised = normalised_scores(matched.scores, equal_is_one)[counts]
    return Score(
        thresholded_average_precision(normalised, is_true, num_faces),
        exact_average_precision(matched.scores[counts], is_true, num_faces),
        num_faces,
    )
