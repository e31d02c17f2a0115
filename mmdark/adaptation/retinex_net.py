"""The Retinex teachers of DAI-Net (arXiv:2312.01220), which split an image into reflectance times illumination."""

from __future__ import annotations

from typing import NamedTuple

import torch
from mmdet.registry import MODELS
from mmdet.utils import OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F


class Decomposition(NamedTuple):
    """Reflectance ``(B, 3, H, W)`` and illumination ``(B, 1, H, W)`` of images, both in [0, 1]."""

    reflectance: Tensor
    illumination: Tensor


class FrozenTeacher(BaseModule):
    """A module that has no gradients and stays in eval mode, unless ``frozen`` is False (to train the teacher)."""

    frozen = True
    weights_of_its_own = True  # see OwnWeights
    needs_weights = False

    def train(self, mode: bool = True) -> FrozenTeacher:
        """Stay in eval mode when frozen, whatever the surrounding model does."""
        return super().train(mode and not self.frozen)

    def init_weights(self) -> None:
        """Initialise as configured, then freeze the weights if ``frozen``."""
        super().init_weights()
        self.requires_grad_(not self.frozen)


@MODELS.register_module()
class RetinexNet(FrozenTeacher):
    """The decomposition net of RetinexNet (BMVC 2018), a frozen teacher.

    The input is the maximum over the channels, then RGB. The layers are a 9x9 convolution, five 3x3 convolutions with
    ReLU, a 3x3 convolution to four channels and a sigmoid, with replicate padding. The output is three channels of
    reflectance and one of illumination.

    Args:
        channels: width of the hidden layers; 64 as published.
        frozen: whether to freeze the weights; False to train it (:class:`RetinexTraining`).
        init_cfg: weights of the teacher; without them it is of no use.
    """

    def __init__(self, channels: int = 64, frozen: bool = True, init_cfg: OptMultiConfig = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.frozen = frozen
        pad = dict(padding_mode='replicate')
        self.entry = nn.Conv2d(4, channels, 9, padding=4, **pad)
        self.hidden = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, **pad) for _ in range(5))
        self.exit = nn.Conv2d(channels, 4, 3, padding=1, **pad)
        self.requires_grad_(not frozen)
        self.train()

    def forward(self, images: Tensor) -> Decomposition:
        """Decompose RGB images in [0, 1] of shape ``(B, 3, H, W)``; the result is float32 even under autocast."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = self.entry(torch.cat([images.amax(dim=1, keepdim=True), images], dim=1))
            for conv in self.hidden:
                x = F.relu(conv(x))
            x = torch.sigmoid(self.exit(x).float())
        return Decomposition(reflectance=x[:, :3], illumination=x[:, 3:])

    def published_names(self) -> dict[str, str]:
        """Key in ``decomp.pth`` → key here, for the seven convolutions."""
        places = {'net1_conv0': 'entry', 'net1_recon': 'exit'}
        places |= {f'net1_convs.{2 * index}': f'hidden.{index}' for index in range(len(self.hidden))}
        return {f'{old}.{kind}': f'{new}.{kind}' for old, new in places.items() for kind in ('weight', 'bias')}


@MODELS.register_module()
class MaxRGBRetinex(FrozenTeacher):
    """A teacher without weights: illumination is the smoothed maximum of the channels.

    The classical Retinex estimate (Land's max-RGB, the initial map of LIME, arXiv:1605.05034), smoothed by a box
    filter repeated three times; reflectance is image / illumination. It replaces the published teacher,
    :class:`RetinexNet`, if its weights are not available.

    Args:
        kernel_size: side of the box filter in pixels, odd.
        floor: lower bound of the illumination.
    """

    def __init__(self, kernel_size: int = 15, floor: float = 0.01) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f'kernel_size must be odd, got {kernel_size}')
        self.kernel_size = kernel_size
        self.floor = floor

    @torch.no_grad()
    def forward(self, images: Tensor) -> Decomposition:
        """Decompose RGB images in [0, 1] of shape ``(B, 3, H, W)``."""
        images = images.float().clamp(0.0, 1.0)
        illumination = images.amax(dim=1, keepdim=True)
        for _ in range(3):
            for window in ((self.kernel_size, 1), (1, self.kernel_size)):
                padding = (window[0] // 2, window[1] // 2)
                illumination = F.avg_pool2d(illumination, window, stride=1, padding=padding, count_include_pad=False)
        illumination = illumination.clamp(min=self.floor)
        return Decomposition(reflectance=(images / illumination).clamp(max=1.0), illumination=illumination)
