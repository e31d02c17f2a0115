"""Assign faces to priors by the rules of SSD, which DSFD uses (arXiv:1512.02325, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Matches(NamedTuple):
    """The priors of an image, or of a batch.

    Attributes:
        positive: whether a prior is assigned to a face, bool, ``(..., P)``.
        faces: box of each prior, also of those that are not positive, ``(..., P, 4)``.
        ignored: whether a prior has no loss, because it overlaps an ignored box most, bool, ``(..., P)``.
    """

    positive: Tensor
    faces: Tensor
    ignored: Tensor


@torch.no_grad()
def match_priors(
    priors: Tensor, faces: Tensor, ignored: Tensor | None, iou_threshold: float, inside: Tensor
) -> Matches:
    """Match each prior to the face it overlaps most, if the IoU reaches the threshold.

    Each face is also matched to its best prior, regardless of the threshold. Of equal overlaps the first counts. If
    several faces have the same best prior, it is matched to the last of them.

    A prior that overlaps an ignored box more than any face is ignored, unless it is the best prior of a face. There is
    no threshold for this, because an ignored box, such as one around a crowd, may contain faces of any size.

    No shape depends on a value, so there is no GPU synchronisation.

    Args:
        priors: corners ``(P, 4)``, in the same unit as the faces.
        faces: corners ``(M, 4)``.
        ignored: corners of ignored boxes, ``(N, 4)``.
        iou_threshold: in [0, 1].
        inside: whether each prior takes part, bool, ``(P,)``.

    Example:
        >>> priors = torch.tensor([[0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 4.0, 2.0]])
        >>> face = torch.tensor([[0.0, 0.0, 2.0, 1.0]])
        >>> match_priors(priors, face, None, 0.35, torch.ones(2, dtype=torch.bool)).positive
        tensor([ True, False])
    """
    nothing = faces.new_zeros(1, 4)  # a box that overlaps no prior, so that no image is without boxes
    boxes = torch.cat([faces, nothing if ignored is None else ignored, nothing])
    iou = _overlaps(boxes, priors).masked_fill_(~inside, -1)
    most, which = iou.max(dim=0)
    numbers = torch.arange(len(faces), device=faces.device)
    keeper = torch.full_like(which, -1).scatter_reduce_(0, iou[: len(faces)].argmax(dim=1), numbers, 'amax')
    kept = keeper >= 0
    learns_nothing = (which >= len(faces)) & (most > 0) & ~kept
    positive = (most >= iou_threshold) & ~learns_nothing | kept
    return Matches(positive, boxes[keeper.where(kept, which)], learns_nothing)


def _overlaps(boxes: Tensor, priors: Tensor) -> Tensor:
    """Intersection over union ``(M, P)``; mmdet's ``bbox_overlaps`` copies a number, which synchronises with a GPU."""
    sides = torch.minimum(boxes[:, None, 2:], priors[:, 2:]) - torch.maximum(boxes[:, None, :2], priors[:, :2])
    shared = sides.clamp_(min=0).prod(dim=2)
    area, prior_area = ((corners[:, 2:] - corners[:, :2]).prod(dim=1) for corners in (boxes, priors))
    return shared / (area[:, None] + prior_area - shared)


@torch.no_grad()
def encode(priors: Tensor, faces: Tensor, means: Sequence[float], stds: Sequence[float]) -> Tensor:
    """``DeltaXYWHBBoxCoder.encode`` for ``(..., 4)`` corners, without its copies that synchronise with the GPU.

    Returns:
        The deltas, ``(..., 4)``: offsets of the centre divided by the sides of the prior, and logarithms of the ratios
        of the sides; all minus ``means`` and divided by ``stds``.
    """
    sides, wanted = priors[..., 2:] - priors[..., :2], faces[..., 2:] - faces[..., :2]
    centres, goals = (priors[..., :2] + priors[..., 2:]) * 0.5, (faces[..., :2] + faces[..., 2:]) * 0.5
    values = torch.cat([(goals - centres) / sides, torch.log(wanted / sides)], dim=-1)
    columns = [(column - mean) / std for column, mean, std in zip(values.unbind(-1), means, stds, strict=True)]
    return torch.stack(columns, dim=-1)
