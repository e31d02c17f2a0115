"""What of a detector goes into a file: the way from the pixels to boxes and scores, without training and teacher."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmdark.errors import InputError


class StagedGroupNorm(nn.Module):
    """Group norm in float32 that sums row by row first.

    onnxruntime adds up a group one number after the other: over a megapixel that moved the scores of the lite model by
    2.6e-4, and row by row by 4e-6 [ran].

    Args:
        norm: has the weights.
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
    """Backbone, neck and second shot of a detector between plain arrays, fit for tracing at any size.

    Args:
        detector: a DSFD or DAINet; a copy of its parts is taken to the CPU.
        half: compute in float16; pixels, scores and boxes stay as they are.

    Raises:
        InputError: it is another detector.
    """

    def __init__(self, detector: nn.Module, half: bool = False) -> None:
        super().__init__()
        detector = getattr(detector, 'detector', detector)  # what DAI-Net is built around
        head = getattr(getattr(detector, 'bbox_head', None), 'second_shot', None)
        if head is None:
            raise InputError(f'{type(detector).__name__} cannot be exported: mmdark exports DSFD and DAINet')
        self.type = torch.float16 if half else torch.float32
        preprocessor = detector.data_preprocessor
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

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Every prior's box and score.

        Args:
            images: BGR pixels as OpenCV reads them, uint8, ``(B, H, W, 3)``.

        Returns:
            Boxes, x1 y1 x2 y2 in pixels, ``(B, P, 4)``; scores, ``(B, P)``. Both are float32.
        """
        x = (images.permute(0, 3, 1, 2)[:, self.channels].float() - self.mean) / self.std
        if self.divisor > 1:
            height, width = x.shape[-2:]
            x = F.pad(x, (0, -width % self.divisor, 0, -height % self.divisor), value=self.padding)
        classes, deltas = self.head(self.neck(self.backbone(x.to(self.type)))[1])
        scores = torch.cat([level.float().flatten(2) for level in classes], dim=2).softmax(dim=1)[:, 0]
        flat = torch.cat([level.float().flatten(2) for level in deltas], dim=2).transpose(1, 2)
        priors = torch.cat(self.head.prior_generator.grid_priors([level.shape[-2:] for level in deltas], device='cpu'))
        boxes = self.head.bbox_coder.decode(priors.expand_as(flat), flat)
        return self._clipped(boxes, *images.shape[1:3]) if self.head.bbox_coder.clip_border else boxes, scores

    @staticmethod
    def _clipped(boxes: Tensor, height: int | Tensor, width: int | Tensor) -> Tensor:
        """Boxes within the image; mmdet's own way does not survive the tracing, where sizes are tensors."""
        border = torch.stack([torch.as_tensor(side, dtype=boxes.dtype) for side in (width, height)])
        return boxes.clamp(min=0).minimum(border.repeat(2))
