"""The part of a detector that is exported: from pixels to boxes and scores, without training and teacher."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.models.dense_heads import YOLOXHead
from torch import Tensor, nn
from torch.nn import functional as F

from mmdark.errors import InputError
from mmdark.models.log_preprocessor import SMALLEST_STD, LogPreprocessor
from mmdark.models.pal_head import PALHead

from .candidates import candidates
from .dense_boxes import Level, clipped, reader_of
from .suppression import Limits


class StagedGroupNorm(nn.Module):
    """Group norm in float32 that first averages each row.

    onnxruntime sums a group sequentially: for a megapixel this changed the scores of the lite model by 2.6e-4; with
    sums of rows the change was 4e-6.

    Args:
        norm: the group norm with the weights.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape and type."""
        batch, _, height, width = x.shape
        groups = x.float().reshape(batch, self.norm.num_groups, -1, height, width)
        centred = groups - self._mean(groups)
        unit = (centred * torch.rsqrt(self._mean(centred.square()) + self.norm.eps)).reshape(batch, -1, height, width)
        return (unit * self.norm.weight.float()[:, None, None] + self.norm.bias.float()[:, None, None]).type_as(x)

    @staticmethod
    def _mean(groups: Tensor) -> Tensor:
        return groups.mean(dim=4, keepdim=True).mean(dim=(2, 3), keepdim=True)


class DetectorGraph(nn.Module):
    """Backbone, neck and head of a single-stage detector, from tensors to tensors, traceable for any image size.

    Args:
        detector: a detector that :func:`reader_of` supports, alone or in a DAINet; its parts are copied to the CPU.
        half: compute in float16; the types of pixels, scores and boxes do not change.

    Raises:
        InputError: the detector is not supported.

    Attributes:
        chooses: the head itself chooses candidates, level by level; in DSFD the suppression does.
        limits: of the suppression whose candidates :meth:`forward` gives then; None gives every prior.
    """

    def __init__(self, detector: nn.Module, half: bool = False) -> None:
        super().__init__()
        detector = getattr(detector, 'detector', detector)  # DAINet wraps the detector
        head: Any = dense_head(detector)
        self.read = reader_of(detector, head)
        self.chooses, self.best_class = not isinstance(head, PALHead), isinstance(head, YOLOXHead)
        self.limits: Limits | None = None
        self.type = torch.float16 if half else torch.float32
        preprocessor = detector.data_preprocessor
        self.knee = preprocessor.knee if isinstance(preprocessor, LogPreprocessor) else None
        if self.knee is None and type(preprocessor).forward is not DetDataPreprocessor.forward:
            raise InputError(
                f'{type(preprocessor).__name__} cannot be exported: the detector needs a DetDataPreprocessor'
            )
        self.channels = [2, 1, 0] if preprocessor._channel_conversion else [0, 1, 2]
        self.divisor = preprocessor.pad_size_divisor
        self.padding = float(preprocessor.pad_value)
        scaled = preprocessor._enable_normalize
        self.register_buffer('mean', preprocessor.mean.detach().cpu() if scaled else torch.zeros(3, 1, 1))
        self.register_buffer('std', preprocessor.std.detach().cpu() if scaled else torch.ones(3, 1, 1))
        parts = (deepcopy(part).cpu().to(self.type) for part in (detector.backbone, detector.neck, head))
        self.backbone, self.neck, self.head = parts
        for parent in list(self.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.GroupNorm):
                    setattr(parent, name, StagedGroupNorm(child))
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Boxes and scores of all priors; with :attr:`limits`, only those of the candidates for NMS.

        Args:
            images: BGR pixels as OpenCV reads them, uint8, ``(B, H, W, 3)``.

        Returns:
            Boxes, x1 y1 x2 y2 in pixels, ``(B, P, 4)``; scores, ``(B, P)``, of several classes ``(B, P, classes)``.
            Both are float32. Of candidates, scores are ``(B, P)``, and labels follow where there are several classes.
        """
        levels = self.levels(images)
        if self.limits is None:
            return every_prior(levels)
        boxes, scores, labels = candidates(levels, self.limits, self.best_class)
        return (boxes, scores, labels) if levels[0].scores.shape[2] > 1 else (boxes, scores)

    def levels(self, images: Tensor) -> list[Level]:
        """Boxes and scores of all priors of each level."""
        x = self._normalised(images.permute(0, 3, 1, 2)[:, self.channels].float())
        if self.divisor > 1:
            height, width = x.shape[-2:]
            x = F.pad(x, (0, -width % self.divisor, 0, -height % self.divisor), value=self.padding)
        maps = self.neck(self.backbone(x.to(self.type)))
        levels = self.read(self.head, self.head(maps if self.chooses else maps[1]))
        return within(self.head, levels, *images.shape[1:3])

    def _normalised(self, x: Tensor) -> Tensor:
        if self.knee is None:
            return (x - self.mean) / self.std
        logs = torch.log1p(x / self.knee)
        centred = logs - logs.mean(dim=(1, 2, 3), keepdim=True)
        return centred / centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=SMALLEST_STD)


def dense_head(detector: nn.Module) -> nn.Module | None:
    """The head that predicts: the second shot of a DSFD; None for a two-stage detector."""
    if hasattr(detector, 'roi_head'):
        return None
    head = getattr(detector, 'bbox_head', None)
    return getattr(head, 'second_shot', head)


def within(head: nn.Module, levels: list[Level], height: int | Tensor, width: int | Tensor) -> list[Level]:
    """Clip the boxes to the image if the head does so."""
    if not getattr(getattr(head, 'bbox_coder', None), 'clip_border', False):
        return levels
    return [level._replace(boxes=clipped(level.boxes, height, width)) for level in levels]


def every_prior(levels: list[Level]) -> tuple[Tensor, Tensor]:
    """Boxes ``(B, P, 4)`` and scores of all levels, ``(B, P)`` for one class, ``(B, P, classes)`` for several."""
    scores = torch.cat([level.scores * level.factors for level in levels], dim=1)
    return torch.cat([level.boxes for level in levels], dim=1), scores[..., 0] if scores.shape[2] == 1 else scores
