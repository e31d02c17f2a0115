"""AP of face detections by height, on badly lit faces and on night images, for any detector; needs NumPy only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from .average_precision import exact_average_precision
from .matching import IOU_THRESHOLD, checked_rows, overlap

LEAST_HEIGHTS = {'all': 0, '>=16': 16, '>=32': 32, '>=64': 64}
"""Name of a score → minimum height of the evaluated faces, pixels of the image."""


class LabelledFaces(NamedTuple):
    """The annotated faces of one image.

    Attributes:
        boxes: x1 y1 x2 y2, shape ``(M, 4)``.
        badly_lit: whether the official attribute ``illumination`` is 1, shape ``(M,)``, bool.
    """

    boxes: np.ndarray
    badly_lit: np.ndarray


def face_scores(
    labels: Mapping[str, LabelledFaces], found: Mapping[str, np.ndarray], night: Collection[str] = ()
) -> dict[str, float]:
    """Exact AP in percent, at an IoU of 0.5, by the name of what counts.

    ``all`` and ``>=16`` to ``>=64`` count faces of at least that height. ``illumination 1`` counts the badly lit faces
    of the images that have one. ``night`` counts all faces of the night images. See :func:`counted_precision`.

    Args:
        labels: image → its faces.
        found: image → x1 y1 x2 y2 score, shape ``(N, 5)``; a missing image has no detections.
        night: the images taken at night; without them there is no such score.

    Raises:
        InputError: detections are no rows of five finite numbers.
    """
    rows = {name: checked_rows(found.get(name, ()), 5, name) for name in labels}
    scores = {}
    for score, least in LEAST_HEIGHTS.items():
        tall = ((rows[name], faces.boxes, _heights(faces.boxes) >= least) for name, faces in labels.items())
        scores[score] = counted_precision(tall, least)
    scores['illumination 1'] = counted_precision(
        (rows[name], faces.boxes, faces.badly_lit) for name, faces in labels.items() if faces.badly_lit.any()
    )
    if night:
        shown = [(rows[name], labels[name].boxes) for name in labels if name in set(night)]
        scores['night'] = counted_precision((found, faces, np.ones(len(faces), bool)) for found, faces in shown)
    return scores


def counted_precision(images: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], least_height: float = 0) -> float:
    """Exact AP in percent if some faces are evaluated and the others are ignored.

    In descending order of score, each detection is matched to the unmatched evaluated face with the largest IoU of at
    least 0.5. A detection without a match is a false positive, unless its IoU with an ignored face is at least 0.5 or
    its height is below ``least_height``. Detections of equal score keep the order of the images.

    Args:
        images: x1 y1 x2 y2 score, shape ``(N, 5)``; all faces, shape ``(M, 4)``; whether each counts, shape ``(M,)``.
        least_height: minimum height of a false positive, pixels.

    Returns:
        The AP; NaN if no face is evaluated.
    """
    parts, total = [(np.zeros(0), np.zeros(0, bool))], 0
    for found, faces, counts in images:
        found = found[np.argsort(-found[:, 4], kind='stable')]
        near = overlap(found[:, None], faces, border=0)
        near[near < IOU_THRESHOLD] = 0
        hit, free = np.zeros(len(found), bool), counts.copy()
        for row in np.flatnonzero(near[:, counts].any(axis=1)):
            face = np.argmax(near[row] * free)
            hit[row] = near[row, face] * free[face] > 0
            free[face] &= not hit[row]
        is_counted = hit | (~near[:, ~counts].any(axis=1) & (_heights(found) >= least_height))
        parts.append((found[is_counted, 4], hit[is_counted]))
        total += int(counts.sum())
    scores, hits = map(np.concatenate, zip(*parts, strict=True))
    hits = hits[np.argsort(-scores, kind='stable')]
    ranks = -np.arange(len(hits))  # a step of the curve for each detection, those of equal score included
    return 100 * exact_average_precision(ranks, hits, total).average_precision


def _heights(boxes: np.ndarray) -> np.ndarray:
    return boxes[:, 3] - boxes[:, 1]
