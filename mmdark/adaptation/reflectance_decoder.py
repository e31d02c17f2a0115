"""The reflectance decoder of DAI-Net (arXiv:2312.01220): shallow features to the reflectance of the image."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from mmdet.utils import OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

XAVIER = dict(type='Xavier', layer='Conv2d', distribution='uniform', bias=0)


@MODELS.register_module()
class ReflectanceDecoder(BaseModule):
    """3x3 convolution and ReLU, nearest upsampling to the image, 3x3 convolution and sigmoid.

    Args:
        in_channels: width of the shallow features.
        init_cfg: Xavier as published.
    """

    def __init__(self, in_channels: int = 64, init_cfg: OptMultiConfig = XAVIER) -> None:
        super().__init__(init_cfg=init_cfg)
        self.hidden = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.reflectance = nn.Conv2d(in_channels, 3, 3, padding=1)

    def forward(self, shallow: Tensor, size: tuple[int, int]) -> Tensor:
        """Decode shallow features ``(B, C, h, w)`` to the reflectance ``(B, 3, *size)`` in [0, 1].

        The published code upsamples by exactly 2, which fails for odd image sizes; here ``size`` is the image size. The
        reflectance is float32 even under autocast, because the losses need more than the 8 bits of bfloat16.
        """
        hidden = F.relu(self.hidden(shallow))
        if size == (2 * hidden.shape[-2], 2 * hidden.shape[-1]):
            drawn = _doubled(hidden, self.reflectance)
        else:
            drawn = self.reflectance(F.interpolate(hidden, size=size, mode='nearest'))
        return torch.sigmoid(drawn.float())


def _doubled(maps: Tensor, conv: nn.Conv2d) -> Tensor:
    """A 3x3 convolution of maps upsampled by 2, ``(B, C, h, w)`` to ``(B, D, 2h, 2w)``, without upsampling them.

    The four pixels of each 2x2 block of the result depend on the same 3x3 pixels of the maps, with different sums of
    the weights. So one convolution computes all four and needs a quarter of the memory.
    """
    weight = _even_and_odd(_even_and_odd(conv.weight, -1), -2).flatten(0, 2)
    return F.pixel_shuffle(F.conv2d(maps, weight, conv.bias.repeat_interleave(4), padding=1), 2)


def _even_and_odd(weight: Tensor, dim: int) -> Tensor:
    """Sum the weights along the upsampled ``dim`` for even and odd pixels: ``(D, 2, ...)``."""
    before, here, after = weight.unbind(dim)
    zero = torch.zeros_like(here)
    even, odd = (before, here + after, zero), (zero, before + here, after)
    return torch.stack([torch.stack(taps, dim) for taps in (even, odd)], dim=1)
