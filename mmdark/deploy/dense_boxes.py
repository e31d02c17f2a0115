"""Convert the maps of a dense head to boxes and scores, like the head's ``predict_by_feat`` before NMS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from mmdet.models.dense_heads import GFLHead, YOLOXHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder, DistancePointBBoxCoder
from torch import Tensor, nn

from mmdark.errors import InputError
from mmdark.models.pal_head import PALHead

Maps = Sequence[Sequence[Tensor]]
"""Output of a head: for each kind of map a list with one entry per level, ``(B, channels, H, W)``."""


class Level(NamedTuple):
    """The priors of one level.

    Attributes:
        boxes: x1 y1 x2 y2 in pixels, ``(B, n, 4)``.
        scores: score of each class, by which the head selects candidates, ``(B, n, classes)``.
        factors: factors on the scores after the selection, ``(B, n, 1)``.
    """

    boxes: Tensor
    scores: Tensor
    factors: Tensor | float = 1.0


Read = Callable[[nn.Module, Maps], list[Level]]
"""Function that converts the maps of a head to boxes and scores."""


def reader_of(detector: nn.Module, head: nn.Module | None) -> Read:
    """Find the function that reads the maps of a head.

    Args:
        detector: the detector of the head.
        head: its dense head; None if it has none.

    Raises:
        InputError: the head is not supported.
    """
    if isinstance(head, PALHead):
        return read_faces
    if isinstance(head, YOLOXHead) and type(head).predict_by_feat is YOLOXHead.predict_by_feat:
        return read_yolox
    if isinstance(head, BaseDenseHead) and type(head).predict_by_feat is BaseDenseHead.predict_by_feat:
        way, coder = type(head)._predict_by_feat_single, getattr(head, 'bbox_coder', None)
        if way is GFLHead._predict_by_feat_single:
            return read_gfl
        if way is BaseDenseHead._predict_by_feat_single and type(coder) in (DeltaXYWHBBoxCoder, DistancePointBBoxCoder):
            return read_dense
    raise InputError(
        f'{type(detector).__name__} cannot be exported: mmdark writes ONNX files of DSFD, RetinaNet, FCOS, ATSS, GFL, '
        'YOLOX and RTMDet, alone or in DAINet; for two-stage detectors and transformers take MMDeploy'
    )


def flat(maps: Tensor, width: int) -> Tensor:
    """Reshape ``(B, a · width, H, W)`` to ``(B, H · W · a, width)`` in float32."""
    return maps.float().permute(0, 2, 3, 1).reshape(maps.shape[0], -1, width)


def priors_of(head: nn.Module, maps: Sequence[Tensor], **options: bool) -> list[Tensor]:
    """The priors of each level for maps of any size."""
    sizes = [level.shape[-2:] for level in maps]
    return head.prior_generator.grid_priors(sizes, device=maps[0].device, **options)


def decoded(head: nn.Module, priors: Tensor, regressed: Tensor) -> Tensor:
    """Decode the boxes ``(B, n, 4)`` of ``n`` priors with the head's coder, which needs two-dimensional inputs."""
    every = priors.repeat(regressed.shape[0], 1)
    return head.bbox_coder.decode(every, regressed.reshape(-1, 4)).reshape(regressed.shape)


def read_faces(head: nn.Module, maps: Maps) -> list[Level]:
    """DSFD: scores are the softmax of face and background; all levels are concatenated into one."""
    classes, deltas = maps
    scores = torch.cat([level.float().flatten(2) for level in classes], dim=2).softmax(dim=1)[:, :1].transpose(1, 2)
    offsets = torch.cat([level.float().flatten(2) for level in deltas], dim=2).transpose(1, 2)
    priors = torch.cat(priors_of(head, deltas))
    return [Level(decoded(head, priors, offsets), scores)]


def read_dense(head: nn.Module, maps: Maps) -> list[Level]:
    """Heads that use ``BaseDenseHead.predict_by_feat`` of mmdet; a third kind of maps (centerness) gives factors."""
    classes, offsets, *factors = maps
    levels = []
    for number, priors in enumerate(priors_of(head, offsets)):
        scores, regressed = flat(classes[number], head.cls_out_channels), flat(offsets[number], 4)
        scores = scores.sigmoid() if head.use_sigmoid_cls else scores.softmax(dim=2)[..., :-1]
        boxes = decoded(head, priors, regressed)
        levels.append(Level(boxes, scores, *(flat(kind[number], 1).sigmoid() for kind in factors)))
    return levels


def read_gfl(head: nn.Module, maps: Maps) -> list[Level]:
    """GFL: a distance is the mean of a distribution over multiples of the stride."""
    classes, distances = maps
    levels = []
    for number, priors in enumerate(priors_of(head, distances)):
        stride = head.prior_generator.strides[number][0]
        distributions = flat(distances[number], 4 * (head.reg_max + 1))
        batch, count = distributions.shape[:2]
        regressed = head.integral(distributions.reshape(-1, 4 * (head.reg_max + 1))).reshape(batch, count, 4) * stride
        scores = flat(classes[number], head.cls_out_channels).sigmoid()
        levels.append(Level(decoded(head, head.anchor_center(priors), regressed), scores))
    return levels


def read_yolox(head: nn.Module, maps: Maps) -> list[Level]:
    """YOLOX: scores are multiplied by the objectness before the selection; all levels are concatenated into one."""
    classes, regressed, objectness = maps
    priors = torch.cat(priors_of(head, regressed, with_stride=True))
    boxes = head._bbox_decode(priors, torch.cat([flat(level, 4) for level in regressed], dim=1))
    scores = torch.cat([flat(level, head.cls_out_channels) for level in classes], dim=1).sigmoid()
    return [Level(boxes, scores * torch.cat([flat(level, 1) for level in objectness], dim=1).sigmoid())]


def clipped(boxes: Tensor, height: int | Tensor, width: int | Tensor) -> Tensor:
    """Clip boxes to the image; mmdet's own code cannot be traced, because sizes are tensors then."""
    border = torch.stack([torch.as_tensor(side, dtype=boxes.dtype) for side in (width, height)]).to(boxes.device)
    return boxes.clamp(min=0).minimum(border.repeat(2))
