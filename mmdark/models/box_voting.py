"""Box voting: boxes of several views that overlap become their mean, weighted with their scores."""

from __future__ import annotations

import torch
from torch import Tensor

LARGE_FROM = 30
SMALL_UNTIL = 100
"""Limits of the published test script, pixels of the original image, of sides that have one pixel added."""


def keeps_size(boxes: Tensor, kind: str) -> Tensor:
    """Which boxes a view may contribute: a shrunk view is trusted with large faces only, an enlarged one with small.

    Sides are counted as published, with one pixel added.

    Args:
        boxes: x1 y1 x2 y2 in pixels of the original image, shape ``(N, 4)``.
        kind: ``'all'``, ``'large'`` (longer side above 30) or ``'small'`` (shorter side below 100).

    Returns:
        A bool mask of shape ``(N,)``.

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
    """Which part of each box lies in an image.

    Args:
        boxes: x1 y1 x2 y2, shape ``(N, 4)``.
        height: of the image, in the units of the boxes.
        width: of the image.

    Returns:
        Shape ``(N,)``, 0 to 1; 0 for a box without an area.

    Example:
        >>> part_inside(torch.tensor([[0.0, 0.0, 4.0, 4.0], [-6.0, 0.0, 2.0, 4.0]]), 10, 10)
        tensor([1.0000, 0.2500])
    """
    inside = torch.minimum(boxes[:, 2:], boxes.new_tensor([width, height])) - boxes[:, :2].clamp_min(0)
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp_min(0).prod(dim=1)
    return torch.where(areas > 0, inside.clamp_min(0).prod(dim=1) / areas, 0)


def not_nested(boxes: Tensor, max_nested: float) -> Tensor:
    """Which boxes stay where of two, one in the other, the second is dropped.

    Args:
        boxes: x1 y1 x2 y2, the best first, shape ``(N, 4)``.
        max_nested: a box is dropped where more than this part of the smaller of it and a better one that stays is in
            both; 1 keeps all.

    Returns:
        Indices of those that stay, in their order.

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
    """Merge overlapping boxes into one each: the mean weighted with the scores, and the highest score.

    The best box and all that overlap it make a cluster; what is left goes on in the same way. Overlaps are computed
    with one pixel added to widths and heights, as published. Of equal scores the last one comes first, as in the
    published ``argsort()[::-1]`` (with a stable sort; NumPy's default mixes equal scores on some processors).

    It runs on the CPU in float64, whatever the input: the clusters follow one from another, and each is a row of
    overlaps too short for a GPU.

    Args:
        boxes: x1 y1 x2 y2, shape ``(N, 4)``.
        scores: shape ``(N,)``.
        iou_threshold: a box that overlaps the best one by this much or more votes with it.
        max_per_img: so many boxes are returned at most.
        drop_singletons: True drops what a single box found. The published script does so, which costs every face that
            only one view sees; by default such a box is returned as it is.

    Returns:
        Boxes ``(M, 4)`` and scores ``(M,)``, the highest score first, with the dtypes and on the device of the input.

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
