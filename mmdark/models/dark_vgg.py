"""The dark backbone: VGG-16 of DSFD (arXiv:1810.10220), with a stem whose shallow features DAI-Net aligns."""

from __future__ import annotations

from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmdet.utils import OptConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

STAGE_CONVS = (2, 2, 3, 3, 3)
STAGE_CHANNELS = (64, 128, 256, 512, 512)
FC_CHANNELS = 1024
EXTRA_CHANNELS = (256, 512, 128, 256)
WIDTHS = (STAGE_CHANNELS, EXTRA_CHANNELS)
PUBLISHED_CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 31, 33)
"""Indices of the convolutions in the published ``vgg`` list."""
SMALLEST_SHALLOW = 14
"""Smallest side of shallow features that four more poolings do not reduce to zero."""


@MODELS.register_module()
class DarkVGG(BaseModule):
    """VGG-16 with dilated "reducedfc" layers and four extra convolutions: six maps of stride 4 to 128.

    ``forward(x)`` is ``forward_stages(stem(x))``; the stem (conv1_1, conv1_2 and pool1) gives the shallow features of
    DAI-Net. Features of images under 28 pixels are padded with zeros at the right and at the bottom.

    Args:
        widen_factor: factor on all widths, which are rounded to multiples of 8.
        norm_cfg: normalisation after each convolution, for training from scratch; none as published.
        init_cfg: see mmengine; Kaiming by default.
        stem_channels: width of the stem, ``64 * widen_factor`` by default; must equal the ``in_channels`` of the
            reflectance decoder.

    Example:
        >>> import torch
        >>> [map_.shape[1:] for map_ in DarkVGG(widen_factor=0.125)(torch.rand(1, 3, 128, 128))][::5]
        [torch.Size([32, 32, 32]), torch.Size([32, 1, 1])]
    """

    published_prefix = 'vgg'

    def __init__(
        self,
        widen_factor: float = 1.0,
        norm_cfg: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
        stem_channels: int | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.widen_factor = widen_factor
        self.norm_cfg = norm_cfg
        channels, extras = ([widened(width, widen_factor) for width in widths] for widths in WIDTHS)
        channels[0], fc = stem_channels or channels[0], widened(FC_CHANNELS, widen_factor)
        self.stages = nn.ModuleList()
        previous = 3
        for convs, width in zip(STAGE_CONVS, channels, strict=True):
            inputs = (previous, *[width] * (convs - 1))
            self.stages.append(nn.Sequential(*(self._conv(channel, width, 3, padding=1) for channel in inputs)))
            previous = width
        self.fc = nn.Sequential(self._conv(previous, fc, 3, padding=3, dilation=3), self._conv(fc, fc, 1))
        self.extras = nn.ModuleList(
            nn.Sequential(self._conv(inputs, squeeze, 1), self._conv(squeeze, expand, 3, stride=2, padding=1))
            for inputs, squeeze, expand in ((fc, *extras[:2]), (extras[1], *extras[2:]))
        )
        self.shallow_channels = channels[0]
        self.out_channels = (*channels[2:], fc, extras[1], extras[3])

    def _conv(self, inputs: int, outputs: int, kernel_size: int, **kwargs: int) -> ConvModule:
        return ConvModule(inputs, outputs, kernel_size, norm_cfg=self.norm_cfg, **kwargs)

    def stem(self, images: Tensor) -> Tensor:
        """Shallow features ``(B, C, H // 2, W // 2)``, at least one pixel, of images ``(B, 3, H, W)``."""
        return F.max_pool2d(self.stages[0](at_least(images, 2)), 2)

    def forward_stages(self, shallow: Tensor) -> tuple[Tensor, ...]:
        """Shallow features ``(B, C, H / 2, W / 2)`` to six maps of stride 4, 8, 16, 32, 64 and 128."""
        maps = []
        x = at_least(shallow, SMALLEST_SHALLOW)
        for index, stage in enumerate(self.stages[1:], start=1):
            x = stage(x)
            if index > 1:
                maps.append(x)
            x = F.max_pool2d(x, 2, ceil_mode=index == 2)
        x = self.fc(x)
        maps.append(x)
        for squeeze, expand in self.extras:
            # at_least does not change the result, because the convolution pads with zeros, too. It avoids maps one
            # pixel wide, for which oneDNN (torch 2.13, CPU with AMX) does not write the bfloat16 gradient of the
            # weights at stride 2, which then becomes NaN.
            x = expand(at_least(squeeze(x), 2))
            maps.append(x)
        return tuple(maps)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """RGB images in [0, 1] of shape ``(B, 3, H, W)`` to six maps; see :meth:`forward_stages`."""
        return self.forward_stages(self.stem(images))

    def published_names(self) -> dict[str, str]:
        """Key in ``vgg16_reducedfc.pth`` → key here, for the fifteen convolutions."""
        places = [f'stages.{stage}.{conv}' for stage, convs in enumerate(STAGE_CONVS) for conv in range(convs)]
        return {
            f'{index}.{kind}': f'{place}.conv.{kind}'
            for index, place in zip(PUBLISHED_CONVS, [*places, 'fc.0', 'fc.1'], strict=True)
            for kind in ('weight', 'bias')
        }


def widened(width: int, factor: float) -> int:
    """``width * factor``, rounded to a multiple of 8."""
    return max(8, round(width * factor / 8) * 8)


def at_least(maps: Tensor, side: int) -> Tensor:
    """Pad ``(B, C, H, W)`` with zeros to a height and width of at least ``side``."""
    height, width = maps.shape[-2:]
    if min(height, width) >= side:
        return maps
    return F.pad(maps, (0, max(side - width, 0), 0, max(side - height, 0)))
