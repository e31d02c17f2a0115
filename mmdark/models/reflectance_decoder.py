"""The reflectance decoder of DAI-Net (arXiv:2312.01220): shallow features to the reflectance of the image."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from mmdet.utils import OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from .feature_enhance import XAVIER


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
        """Shallow features ``(B, C, h, w)`` to the reflectance ``(B, 3, *size)`` in [0, 1].

        The published code upsamples by exactly 2, which fails for odd image sizes; here ``size`` is the image's.
        """
        hidden = F.interpolate(F.relu(self.hidden(shallow)), size=size, mode='nearest')
        return torch.sigmoid(self.reflectance(hidden))
