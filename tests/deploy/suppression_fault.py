"""The suppression of an ONNX file beside its definition, on the boxes that the graph itself computed."""

from __future__ import annotations

import numpy as np

from mmdark.deploy.suppression import Limits

ROUNDING = 1e-4
"""By so much two float32 computations of the same overlap may differ."""


def suppression_fault(found: list[np.ndarray], boxes: np.ndarray, scores: np.ndarray, limits: Limits) -> str | None:
    """What is wrong with suppressed faces, or None.

    Args:
        found: the file's ``image``, ``boxes`` and ``scores``.
        boxes: all boxes that it chose from, ``(B, P, 4)``.
        scores: theirs, ``(B, P)``.
        limits: of the suppression.
    """
    if (np.diff(found[0]) < 0).any():
        return 'the faces are not in the order of the images'
    for number, (all_boxes, all_scores) in enumerate(zip(boxes, scores, strict=True)):
        kept_boxes, kept_scores = (each[found[0] == number] for each in found[1:])
        order = (-all_scores).argsort(kind='stable')[: limits.nms_pre if limits.nms_pre > 0 else None]
        order = order[all_scores[order] > np.float32(limits.score_thr)]
        known = {row.tobytes() for row in np.column_stack([all_boxes[order], all_scores[order]])}
        if any(row.tobytes() not in known for row in np.column_stack([kept_boxes, kept_scores])):
            return 'a face is none of the candidates'
        if (np.diff(kept_scores) > 0).any():
            return 'the faces of an image are not sorted'
        if len(kept_boxes) > limits.max_per_img:
            return f'an image has {len(kept_boxes)} faces'
        among = overlaps(kept_boxes, kept_boxes)
        if (np.triu(among, 1) > limits.iou_threshold + ROUNDING).any():
            return 'two faces overlap too much'
        better = kept_scores[None] >= all_scores[order, None]
        explained = (better & (overlaps(all_boxes[order], kept_boxes) > limits.iou_threshold - ROUNDING)).any(axis=1)
        if len(kept_boxes) == limits.max_per_img:
            explained |= all_scores[order] <= kept_scores.min(initial=1)
        unexplained = {row.tobytes() for row in all_boxes[order][~explained]} - {row.tobytes() for row in kept_boxes}
        if unexplained:
            return f'{len(unexplained)} faces are missing that no better one overlaps'
    return None


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of ``(N, 4)`` and ``(M, 4)`` boxes, ``(N, M)``."""
    first, second = first.astype(float)[:, None], second.astype(float)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = sides.clip(min=0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (first, second)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-12)
