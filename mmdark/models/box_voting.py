"""Box voting: merge overlapping boxes from several views into their score-weighted mean."""

from __future__ import annotations

import torch
from torch import Tensor

LARGE_FROM = 30
SMALL_UNTIL = 100
"""Size limits of the published test script, in pixels of the original image; the script adds 1 to each side."""


def keeps_size(boxes: Tensor, kind: str) -> Tensor:
    """Mask ``(N,)`` of the boxes to keep: large ones from a shrunk view, small ones from an enlarged view.

    Args:
        boxes: corners ``(N, 4)`` in pixels of the original image; 1 is added to each side, as published.
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
    """Fraction ``(N,)`` of the area of each box ``(N, 4)`` that is inside the image; 0 for a box of zero area.

    Example:
        >>> part_inside(torch.tensor([[0.0, 0.0, 4.0, 4.0], [-6.0, 0.0, 2.0, 4.0]]), 10, 10)
        tensor([1.0000, 0.2500])
    """
    inside = torch.minimum(boxes[:, 2:], boxes.new_tensor([width, height])) - boxes[:, :2].clamp_min(0)
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp_min(0).prod(dim=1)
    return torch.where(areas > 0, inside.clamp_min(0).prod(dim=1) / areas, 0)


def not_nested(boxes: Tensor, max_nested: float) -> Tensor:
    """Indices of the boxes that are neither inside nor around a kept box of higher score.

    Args:
        boxes: corners ``(N, 4)``, sorted by score, highest first.
        max_nested: a box is dropped if its intersection with a kept box of higher score is more than this fraction of
            the smaller box; 1 keeps all boxes.

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
    """Merge each cluster of overlapping boxes into its score-weighted mean box, with its highest score.

    The highest-scored box and all boxes that overlap it form a cluster; the remaining boxes are clustered in the same
    way. As in the published code, the IoU adds 1 to each side, and boxes of equal score are taken in reverse order
    (``argsort()[::-1]``; here the sort is stable).

    Runs on the CPU in float64: each cluster depends on the previous ones, and each step is too small for a GPU.

    Args:
        boxes: corners ``(N, 4)``.
        scores: ``(N,)``.
        iou_threshold: minimum IoU with the highest-scored box of a cluster for a box to join it.
        max_per_img: maximum number of returned boxes.
        drop_singletons: drop clusters of one box, as published; this loses every face detected in only one view.

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
        together[0] = True  # an inverted or NaN box may have no IoU with itself
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
    """IoU of the first of ``(N, 4)`` boxes with every box; 1 is added to each side."""
    areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(dim=1)
    sides = torch.minimum(boxes[0, 2:], boxes[:, 2:]) - torch.maximum(boxes[0, :2], boxes[:, :2]) + 1
    shared = sides.clamp_min(0).prod(dim=1)
    return shared / (areas[0] + areas - shared)
