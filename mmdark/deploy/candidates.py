"""Select the candidates for NMS: the highest-scored of each level, above the threshold and large enough."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .dense_boxes import Level
from .suppression import Limits


def candidates(levels: Sequence[Level], limits: Limits, best_class: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Select the pairs of prior and class that go into NMS, as in mmdet's ``filter_scores_and_topk``.

    Args:
        levels: boxes and scores of every prior.
        limits: limits of the detector.
        best_class: use only the highest-scored class of each prior, as in YOLOX; otherwise each class above the
            threshold.

    Returns:
        Boxes ``(B, K, 4)``; scores ``(B, K)``, 0 where there is no candidate; labels ``(B, K)``, int64.
    """
    chosen = [_of_level(level, limits, best_class) for level in levels]
    boxes, scores, labels = (torch.cat(parts, dim=1) for parts in zip(*chosen, strict=True))
    if limits.min_size >= 0:
        large = (boxes[..., 2:] - boxes[..., :2] > limits.min_size).all(dim=2)
        scores = scores * large
    return boxes, scores, labels


def _of_level(level: Level, limits: Limits, best_class: bool) -> tuple[Tensor, Tensor, Tensor]:
    boxes, scores, factors = level
    if best_class:
        scores, labels = scores.max(dim=2)
        return boxes, scores * (scores >= limits.score_thr), labels
    classes = scores.shape[2]
    pairs = (scores * (scores > limits.score_thr)).flatten(1)
    if limits.nms_pre > 0:
        pairs, places = pairs.topk(_least(limits.nms_pre, pairs.shape[1]), dim=1)
    else:
        places = torch.arange(pairs.shape[1], device=pairs.device).expand_as(pairs)
    priors, labels = torch.div(places, classes, rounding_mode='floor'), places % classes
    boxes = boxes.gather(1, priors[..., None].expand(-1, -1, 4))
    if isinstance(factors, Tensor):
        pairs = pairs * factors[..., 0].gather(1, priors)
    return boxes, pairs, labels


def _least(most: int, count: int | Tensor) -> int | Tensor:
    """The smaller number; while tracing, sizes are tensors."""
    return torch.minimum(torch.full_like(count, most), count) if isinstance(count, Tensor) else min(most, count)
