"""Box voting: overlapping boxes of several views become their mean, weighted by their scores."""

from __future__ import annotations

import torch
from torch import Tensor

LARGE_FROM = 30
SMALL_UNTIL = 100
"""Limits of the published test script for sides plus one, pixels of the original image."""


def keeps_size(boxes: Tensor, kind: str) -> Tensor:
    """Mask ``(N,)`` of the boxes that a view contributes: large ones of a shrunk view, small ones of an enlarged one.

    Args:
        boxes: corners ``(N, 4)`` in pixels of the original image; one pixel is added to the sides, as published.
        kind: ``'all'``, ``'large'`` (longer side above 30) or ``'small'`` (shorter side below 100).

    Raises:
        ValueError: the kind is unknown.

    Example:
        >>> keeps_size(torch.tensor([[0.0, 0.0, 20.0, 28.0], [0.0, 0.0, 120.0, 99.5]]), 'large')
        tensor([False,  True])
    """
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    if kind == 'all':
        return sides.new_ones(len(sides), dtype=torch.bool)
    if kind == 'large':
        return sides.amax(dim=1) > LARGE_FROM
    if kind == 'small':
        return sides.amin(dim=1) < SMALL_UNTIL
    raise ValueError(f"unknown kind of size {kind!r}; choose one of 'all', 'large', 'small'")


def part_inside(boxes: Tensor, height: int, width: int) -> Tensor:
    """Fraction of each box ``(N, 4)`` inside an image of the given size, ``(N,)``; 0 for a box without area.

    Example:
        >>> part_inside(torch.tensor([[0.0, 0.0, 4.0, 4.0], [-6.0, 0.0, 2.0, 4.0]]), 10, 10)
        tensor([1.0000, 0.2500])
    """
    inside = torch.minimum(boxes[:, 2:], boxes.new_tensor([width, height])) - boxes[:, :2].clamp_min(0)
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp_min(0).prod(dim=1)
    return torch.where(areas > 0, inside.clamp_min(0).prod(dim=1) / areas, 0)


def not_nested(boxes: Tensor, max_nested: float) -> Tensor:
    """Indices of the boxes that are not nested with a better one.

    Args:
        boxes: corners ``(N, 4)``, best first.
        max_nested: a box is dropped if its intersection with a better one that stays is more than this fraction of the
            smaller of the two; 1 keeps all.

    Example:
        >>> not_nested(torch.tensor([[0.0, 0.0, 9.0, 9.0], [2.0, 2.0, 4.0, 4.0], [8.0, 8.0, 12.0, 12.0]]), 0.8)
        tensor([0, 2])
    """
    if max_nested >= 1:
        return torch.arange(len(boxes), device=boxes.device)
    corners = boxes.detach().cpu().double()
    areas = (corners[:, 2:] - corners[:, :2]).prod(dim=1)
    stays = torch.ones(len(boxes), dtype=torch.bool)
    for place in range(len(boxes)):
        if stays[place]:
            shared = torch.minimum(corners[place, 2:], corners[place + 1 :, 2:]) - torch.maximum(
                corners[place, :2], corners[place + 1 :, :2]
            )
            smaller = areas[place + 1 :].clamp_max(areas[place])
            stays[place + 1 :] &= shared.clamp_min(0).prod(dim=1) <= max_nested * smaller
    return stays.nonzero()[:, 0].to(boxes.device)


def box_voting(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float = 0.3,
    max_per_img: int = 750,
    drop_singletons: bool = False,
) -> tuple[Tensor, Tensor]:
    """Merge each cluster of overlapping boxes into their mean, weighted by the scores, with their highest score.

    The best box and all that overlap it are a cluster; the remaining boxes are clustered in the same way. Overlaps are
    computed with one pixel added to the sides, and of equal scores the last comes first, both as published
    (``argsort()[::-1]``, here with a stable sort).

    Runs on the CPU in float64: the clusters depend on each other, and each is too short for a GPU.

    Args:
        boxes: corners ``(N, 4)``.
        scores: ``(N,)``.
        iou_threshold: a box with at least this overlap with the best votes with it.
        max_per_img: maximum number of returned boxes.
        drop_singletons: drop clusters of one box, as published; this loses every face that only one view sees.

    Returns:
        Boxes ``(M, 4)`` and scores ``(M,)``, highest first, with dtype and device of the input.

    Example:
        >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 13.0], [50.0, 50.0, 60.0, 60.0]])
        >>> box_voting(boxes, torch.tensor([0.75, 0.25, 0.5]))
        (tensor([[ 0.,  0.,  9., 10.],
                [50., 50., 60., 60.]]), tensor([0.7500, 0.5000]))
    """
    order = scores.detach().cpu().argsort(stable=True).flip(0)
    left, votes = boxes.detach().cpu().double()[order], scores.detach().cpu().double()[order]
    merged: list[Tensor] = []
    best: list[Tensor] = []
    while len(left) > 0 and len(merged) < max_per_img:
        together = _overlaps(left) >= iou_threshold
        together[0] = True  # a box without an area or a number does not even overlap itself
        members, weights = left[together], votes[together].clamp_min(torch.finfo(votes.dtype).tiny)
        if len(members) > 1 or not drop_singletons:
            mean = (members * (weights / weights.sum())[:, None]).sum(dim=0) if len(members) > 1 else left[0]
            merged.append(mean)
            best.append(votes[0])
        left, votes = left[~together], votes[~together]
    if not merged:
        return boxes[:0], scores[:0]
    return torch.stack(merged).to(boxes), torch.stack(best).to(scores)


def _overlaps(boxes: Tensor) -> Tensor:
    """Intersection over union of the first of ``(N, 4)`` boxes with each, sides one pixel longer."""
    areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(dim=1)
    sides = torch.minimum(boxes[0, 2:], boxes[:, 2:]) - torch.maximum(boxes[0, :2], boxes[:, :2]) + 1
    shared = sides.clamp_min(0).prod(dim=1)
    return shared / (areas[0] + areas - shared)
