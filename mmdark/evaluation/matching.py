"""Which detection finds which face: the step that both protocols share, over a whole data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from mmdark.errors import InputError

from .average_precision import Score, exact_average_precision, normalised_scores, thresholded_average_precision

IOU_THRESHOLD = 0.5
"""``IoU_thresh`` of ``evaluation.m``, WIDER FACE and DARK FACE alike."""

_PAIRS_AT_ONCE = 1 << 20
"""Detections times faces that are compared at once; bounds the memory of one comparison to a few MiB."""

Overlap = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From ``P`` boxes and the ``P`` faces beside them, both ``(P, 4)``, to their overlaps, ``(P,)``."""


class Matched(NamedTuple):
    """All detections of a data set beside the faces that they found.

    Attributes:
        scores: shape ``(P,)``, float64; image after image, falling within each.
        face: shape ``(P,)``, the place of the found face among all faces of the data set, or -1.
        is_first: shape ``(P,)``, whether no detection before this one found that face.
        has_faces: shape ``(P,)``, whether the image has faces at all.
    """

    scores: np.ndarray
    face: np.ndarray
    is_first: np.ndarray
    has_faces: np.ndarray


def checked_rows(rows: np.ndarray, columns: int, name: str) -> np.ndarray:
    """Rows of finite numbers as float64, shape ``(N, columns)``; an empty array of any shape is no rows.

    Raises:
        InputError: they are no numbers, the shape is another, or a value is not finite; names ``name`` and the row.
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


def overlap(boxes: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """IoU in floating point with +1 on widths and heights (``boxoverlap.m``).

    Args:
        boxes: x1 y1 x2 y2, shape ``(P, 4)``.
        faces: the same, the face beside each box.

    Returns:
        Shape ``(P,)``, 0 where they do not touch.

    Example:
        >>> overlap(np.array([[0, 0, 9, 9.0]]), np.array([[0, 0, 9, 4.0]]))
        array([0.5])
    """
    sides = np.minimum(boxes[:, 2:], faces[:, 2:]) - np.maximum(boxes[:, :2], faces[:, :2]) + 1
    shared = sides[:, 0] * sides[:, 1]
    touch = (sides > 0).all(1)
    return np.divide(shared, area(faces) + area(boxes) - shared, out=np.zeros(len(boxes)), where=touch)


def area(boxes: np.ndarray) -> np.ndarray:
    """The area of ``(P, 4)`` boxes x1 y1 x2 y2, with +1 on widths and heights."""
    return (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)


def found_faces(boxes: np.ndarray, faces: np.ndarray, overlap: Overlap) -> np.ndarray:
    """The face that each box finds: that of the highest overlap, the first of several, if it reaches 0.5.

    Args:
        boxes: x1 y1 x2 y2, shape ``(N, 4)``.
        faces: x1 y1 x2 y2, shape ``(M, 4)``.
        overlap: how overlaps are computed; 0 where the boxes lie 2 px or more apart.

    Returns:
        Shape ``(N,)``, the face's row or -1.
    """
    found = np.full(len(boxes), -1)
    step = max(1, _PAIRS_AT_ONCE // max(1, len(faces)))
    for start in range(0, len(boxes), step):
        some = boxes[start : start + step]
        near = (some[:, None, 0] <= faces[:, 2] + 2) & (some[:, None, 2] >= faces[:, 0] - 2)
        near &= (some[:, None, 1] <= faces[:, 3] + 2) & (some[:, None, 3] >= faces[:, 1] - 2)
        rows, columns = np.nonzero(near)
        with np.errstate(over='ignore', invalid='ignore'):  # boxes may be huge
            overlaps = overlap(some[rows], faces[columns])
        enough = overlaps >= IOU_THRESHOLD
        rows, columns, overlaps = rows[enough], columns[enough], overlaps[enough]
        order = np.lexsort((columns, -overlaps, rows))
        best, first = np.unique(rows[order], return_index=True)
        found[start + best] = columns[order][first]
    return found


def match(images: Iterable[tuple[np.ndarray, np.ndarray]], overlap: Overlap, jobs: int = 1) -> Matched:
    """Match the detections of every image with its faces.

    Within an image detections are taken in falling score; those of equal score keep their order.

    Args:
        images: (detections, faces) an image: x1 y1 x2 y2 score, shape ``(N, 5)``, and x1 y1 x2 y2, shape ``(M, 4)``.
        overlap: as in :func:`found_faces`.
        jobs: how many threads compare; numpy lets them run beside each other.
    """

    def matched_image(image: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        detections, faces = image
        detections = detections[np.argsort(-detections[:, 4], kind='stable')]
        return detections[:, 4], found_faces(detections[:, :4], faces, overlap)

    images = list(images)
    if jobs > 1:
        with ThreadPoolExecutor(jobs) as pool:
            results = list(pool.map(matched_image, images))
    else:
        results = [matched_image(image) for image in images]
    lengths = [len(scores) for scores, _ in results]
    num_faces = np.array([len(faces) for _, faces in images], np.int64)
    offset = np.repeat(np.cumsum(num_faces) - num_faces, lengths)
    local = np.concatenate([found for _, found in results] or [np.zeros(0, np.int64)])
    face = np.where(local >= 0, local + offset, -1)
    is_first = np.zeros(len(face), bool)
    is_first[np.unique(face, return_index=True)[1]] = True
    scores = np.concatenate([scores for scores, _ in results] or [np.zeros(0)])
    return Matched(scores, face, is_first & (face >= 0), np.repeat(num_faces > 0, lengths))


def score(matched: Matched, kept: np.ndarray, equal_is_one: bool = False) -> Score:
    """Official and exact average precision of matched detections.

    A detection on a face that is not kept counts neither way, and neither does one on an image without faces; a second
    one on a kept face counts as false.

    Args:
        matched: from :func:`match`.
        kept: which of the data set's faces should be found, shape ``(F,)``, bool.
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
