"""The progressive anchor loss and the decoding of faces, written out in loops over NumPy arrays."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def priors_of(sizes: Sequence[tuple[int, int]], strides: Sequence[int], sides: Sequence[float]) -> Array:
    """One square anchor in the centre of each cell, as corners in pixels, level by level and row by row."""
    return np.array(
        [
            ((j + 0.5) * s - a / 2, (i + 0.5) * s - a / 2, (j + 0.5) * s + a / 2, (i + 0.5) * s + a / 2)
            for (height, width), s, a in zip(sizes, strides, sides, strict=True)
            for i in range(height)
            for j in range(width)
        ]
    )


def iou(one: Array, other: Array) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def covered(priors: Array, faces: Array, ignored: Array) -> set[int]:
    """The priors whose best overlap is an ignored box; of equal overlaps the face's counts."""
    found = set()
    for place, prior in enumerate(priors):
        most = max((iou(prior, face) for face in faces), default=0)
        if any(iou(prior, box) > most for box in ignored):
            found.add(place)
    return found


def match(
    priors: Array, faces: Array, threshold: float = 0.35, left_out: Container[int] = frozenset()
) -> dict[int, int]:
    """Prior → face, for the positive priors of one image; those left out have a face only if it keeps them."""
    overlaps = [[iou(prior, face) for face in faces] for prior in priors]
    matched = {}
    for place, row in enumerate(overlaps):
        if row and max(row) >= threshold and place not in left_out:
            matched[place] = int(np.argmax(row))
    for face in range(len(faces)):  # each keeps its best prior; a later face takes it from an earlier one
        matched[int(np.argmax([row[face] for row in overlaps]))] = face
    return matched


def fractions(priors: Array, size: tuple[int, int]) -> NDArray[np.float32]:
    """Corners in fractions of a ``(height, width)`` image, as the published code has them: from rounded centres."""
    scale = np.array(size[::-1])
    centres = ((priors[:, :2] + priors[:, 2:]) / 2 / scale).astype(np.float32)
    sides = ((priors[:, 2:] - priors[:, :2]) / scale).astype(np.float32)
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)


def pal(
    scores: Array,
    deltas: Array,
    priors: Array,
    faces: Sequence[Array],
    size: tuple[int, int],
    ignored: Sequence[Array] | None = None,
    without_faces: int = 0,
) -> tuple[float, float]:
    """Classification and box loss of a batch.

    Args:
        scores: ``(B, N, 2)``, face first, background last.
        deltas: ``(B, N, 4)``.
        priors: ``(N, 4)``.
        faces: per image ``(M, 4)``.
        size: height and width of the images. A face within several priors overlaps each of them equally, and rounding
            decides; so matching is in float32, and in fractions.
        ignored: per image ``(K, 4)``; None where there are none.
        without_faces: negatives of an image without positives; three of them count like a positive.
    """
    ignored = [np.zeros((0, 4))] * len(faces) if ignored is None else ignored
    loss_cls = loss_bbox = 0.0
    positives = empty = 0
    for score, delta, boxes, marked in zip(scores, deltas, faces, ignored, strict=True):
        in_image = fractions(priors, size)
        own, others = ((each / np.tile(size[::-1], 2)).astype(np.float32) for each in (boxes, marked))
        left_out = covered(in_image, own, others)
        matched = match(in_image, own, left_out=left_out)
        positives += len(matched)
        log_sum = np.log(np.exp(score).sum(1))
        background = [n for n in range(len(priors)) if n not in matched and n not in left_out]
        negatives = sorted((log_sum[n] - score[n, 1] for n in background), reverse=True)
        empty += not matched
        taken = 3 * len(matched) if matched else without_faces
        loss_cls += sum(log_sum[n] - score[n, 0] for n in matched) + sum(negatives[:taken])
        for place, face in matched.items():
            (px1, py1, px2, py2), (x1, y1, x2, y2) = priors[place], boxes[face]
            target = (
                ((x1 + x2) - (px1 + px2)) / 2 / (px2 - px1) / 0.1,
                ((y1 + y2) - (py1 + py2)) / 2 / (py2 - py1) / 0.1,
                np.log((x2 - x1) / (px2 - px1)) / 0.2,
                np.log((y2 - y1) / (py2 - py1)) / 0.2,
            )
            for distance in np.abs(delta[place] - target):
                loss_bbox += 0.5 * distance**2 if distance < 1 else distance - 0.5
    divisor = max(positives, empty * without_faces / 3) or len(scores)
    return loss_cls / divisor, loss_bbox / divisor


def detect(
    scores: Array, deltas: Array, priors: Array, score_thr: float, nms_pre: int, iou_thr: float, max_per_img: int
) -> Array:
    """Faces of one image: rows of x1 y1 x2 y2 score, best first."""
    found = []
    for (face, background), (dx, dy, dw, dh), (x1, y1, x2, y2) in zip(scores, deltas, priors, strict=True):
        score = 1 / (1 + np.exp(background - face))
        side = x2 - x1
        cx, cy = (x1 + x2) / 2 + 0.1 * dx * side, (y1 + y2) / 2 + 0.1 * dy * side
        w, h = side * np.exp(0.2 * dw), side * np.exp(0.2 * dh)
        if score > score_thr:
            found.append((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, score))
    found.sort(key=lambda row: -row[4])
    kept: list[tuple] = []
    for row in found[:nms_pre]:
        if all(iou(np.array(row), np.array(other)) <= iou_thr for other in kept):
            kept.append(row)
    return np.array(kept[:max_per_img]).reshape(-1, 5)
