"""Which prior learns which face, by the rules of SSD that DSFD keeps (arXiv:1512.02325, section 2.2).

A batch at a time. Nothing here waits for the device: no shape depends on a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

AT_ONCE_ON_CPU = 2**21
AT_ONCE = 2**26
"""So many overlaps are held at once, or those of one image: on a CPU so few that they stay in its cache."""
SMALLEST_UNION = 1e-6
"""As in mmdet's overlaps: a face without an area overlaps nothing."""


class Matches(NamedTuple):
    """The priors that learn a face.

    Attributes:
        positive: bool, ``(B, P)``.
        faces: the face of each prior, whether it is positive or not: corners as rows, ``(B, 4, P)``.
        ignored: those that learn nothing at all, because what they overlap most is an ignored box: bool, ``(B, P)``.
    """

    positive: Tensor
    faces: Tensor
    ignored: Tensor


def pad_faces(boxes: Sequence[Tensor], ignored: Sequence[Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """Boxes of a batch in one tensor.

    Args:
        boxes: faces of each image, ``(M, 4)`` each.
        ignored: ignored boxes of each image, ``(N, 4)`` each; None: there are none.

    Returns:
        Boxes ``(B, G, 4)``, the faces of an image before its ignored boxes, G the most of any image and at least 1, and
        a bool mask ``(B, G)`` of the faces.

    Example:
        >>> faces, real = pad_faces([torch.ones(2, 4), torch.ones(1, 4)])
        >>> faces.shape, real.tolist()
        (torch.Size([2, 2, 4]), [[True, True], [True, False]])
    """
    rows = boxes if ignored is None else [torch.cat(pair) for pair in zip(boxes, ignored, strict=True)]
    most = max(1, *map(len, rows))
    faces = boxes[0].new_zeros(len(boxes), most, 4)
    real = torch.zeros(len(boxes), most, dtype=torch.bool, device=faces.device)
    for place, (row, own) in enumerate(zip(rows, boxes, strict=True)):
        faces[place, : len(row)] = row
        real[place, : len(own)] = True
    return faces, real


@torch.no_grad()
def match_priors(
    priors: Tensor,
    sizes: Sequence[tuple[int, int]],
    faces: Tensor,
    real: Tensor,
    iou_threshold: float,
    inside: Tensor | None = None,
) -> Matches:
    """Each prior takes the face it overlaps most, from the threshold on; each face keeps its best prior in any case.

    Of equal overlaps the first one counts. Where faces share their best prior, the last of them has it.

    A prior that overlaps an ignored box more than any face, by however little, learns nothing, unless a face keeps it.
    There is no threshold: in an ignored box there may be faces of any size, as in the box around a crowd.

    Args:
        priors: corners as rows, ``(B, 4, P)``, in the unit of the faces; see :func:`overlaps`.
        sizes: height and width of each map.
        faces: corners ``(B, G, 4)``: faces, then ignored boxes.
        real: which of them are faces, bool, ``(B, G)``. The others are ignored boxes, or nothing, without a size.
        iou_threshold: from 0 to 1.
        inside: which priors take part, bool, ``(B, P)``; None: all.

    Returns:
        The positive priors, the face of each, and the priors that learn nothing.
    """
    limit = AT_ONCE_ON_CPU if priors.device.type == 'cpu' else AT_ONCE
    images = max(1, limit // (faces.shape[1] * priors.shape[2]))
    places = [slice(first, first + images) for first in range(0, len(priors), images)]
    parts = [
        _match(
            overlaps(priors[place], sizes, faces[place]),
            faces[place],
            real[place],
            iou_threshold,
            None if inside is None else inside[place],
        )
        for place in places
    ]
    return Matches(*map(torch.cat, zip(*parts, strict=True)))


def _match(iou: Tensor, faces: Tensor, real: Tensor, iou_threshold: float, inside: Tensor | None) -> Matches:
    """The matches of ``(B, G, P)`` overlaps, which are used up."""
    if inside is not None:
        iou.masked_fill_(~inside[:, None], -1)
    most, best = iou.amax(dim=1), iou.max(dim=2).indices
    count = faces.shape[1]
    earlier = torch.arange(count, 0, -1, dtype=iou.dtype, device=iou.device)[:, None]
    which = count - iou.eq_(most[:, None]).mul_(earlier).amax(dim=1).long()  # several times as fast as max(dim=1)
    number = torch.arange(count, device=faces.device).where(real, -1)
    keeper = torch.full_like(which, -1).scatter_reduce_(1, best, number, 'amax')
    kept = keeper >= 0
    ignored = ~real.gather(1, which) & (most > 0) & ~kept
    positive = (most >= iou_threshold) & ~ignored | kept
    which = keeper.where(kept, which)
    return Matches(positive, faces.transpose(1, 2).gather(2, which[:, None].expand(-1, 4, -1)), ignored)


def overlaps(priors: Tensor, sizes: Sequence[tuple[int, int]], faces: Tensor) -> Tensor:
    """Intersection over union, with the roundings of mmdet's ``bbox_overlaps``.

    The priors of a map are a grid: those of a column share left and right, those of a row top and bottom. So what a
    face shares with each of them is the outer product of what it shares with the columns and with the rows.

    Args:
        priors: corners as rows, ``(B, 4, P)``, one prior a cell, level by level and row by row.
        sizes: height and width of each map.
        faces: corners ``(B, G, 4)``.

    Returns:
        ``(B, G, P)``.

    Example:
        >>> priors = torch.tensor([[[0.0, 2.0], [0.0, 0.0], [2.0, 4.0], [2.0, 2.0]]])
        >>> overlaps(priors, [(1, 2)], torch.tensor([[[1.0, 0.0, 3.0, 2.0]]]))
        tensor([[[0.3333, 0.3333]]])
    """
    x1, y1, x2, y2 = (column[:, :, None] for column in faces.unbind(2))
    shared = faces.new_empty(*faces.shape[:2], priors.shape[2])
    cells = [height * width for height, width in sizes]
    for level, target, size in zip(priors.split(cells, 2), shared.split(cells, 2), sizes, strict=True):
        left, top, right, bottom = level.unflatten(2, size)[:, :, None].unbind(1)
        across = (torch.minimum(x2, right[..., 0, :]) - torch.maximum(x1, left[..., 0, :])).clamp_(min=0)
        down = (torch.minimum(y2, bottom[..., 0]) - torch.maximum(y1, top[..., 0])).clamp_(min=0)
        torch.mul(across[:, :, None], down[..., None], out=target.unflatten(2, size))
    sides = priors[:, 2:] - priors[:, :2]
    areas, own = (x2 - x1) * (y2 - y1), (sides[:, 0] * sides[:, 1])[:, None]
    rows = max(1, AT_ONCE_ON_CPU // 8 // shared.shape[2]) if shared.device.type == 'cpu' else shared.shape[1]
    for part, area in zip(shared.split(rows, 1), areas.split(rows, 1), strict=True):
        part.div_((area + own).sub_(part).clamp_(min=SMALLEST_UNION))
    return shared


@torch.no_grad()
def encode(priors: Tensor, faces: Tensor, means: Sequence[float], stds: Sequence[float]) -> Tensor:
    """What a prior must predict to become its face; ``DeltaXYWHBBoxCoder.encode`` without its copies to the device.

    Args:
        priors: corners as rows, ``(B, 4, P)``.
        faces: of each prior, in the same way.
        means: of the four values, which are subtracted.
        stds: of the four values, by which they are divided.

    Returns:
        Offsets of the centre in sides of the prior and logarithms of the ratios of the sides, ``(B, 4, P)``.
    """
    sides, wanted = priors[:, 2:] - priors[:, :2], faces[:, 2:] - faces[:, :2]
    centres, goals = (priors[:, :2] + priors[:, 2:]) * 0.5, (faces[:, :2] + faces[:, 2:]) * 0.5
    values = torch.cat([(goals - centres) / sides, torch.log(wanted / sides)], dim=1)
    rows = [(row - mean) / std for row, mean, std in zip(values.unbind(1), means, stds, strict=True)]
    return torch.stack(rows, dim=1)
