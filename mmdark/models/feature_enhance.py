"""The feature enhance module (FEM) of DSFD (arXiv:1810.10220, section 3.2): original maps to enhanced maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmdark.errors import InputError

XAVIER = dict(type='Xavier', layer='Conv2d', distribution='uniform', bias=0)
Maps = tuple[Tensor, ...]


class L2Norm(nn.Module):
    """Scale each pixel to unit length over the channels, times a learnable factor per channel (arXiv:1506.04579).

    The published module and mmdet's divide by ``norm + 1e-10``. Their gradient is NaN where all channels are zero, and
    unbounded near zero. Here ``1e-10`` is added under the root, which bounds the gradient; for norms above 1e-3 the
    values agree to 5e-5.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape and type, computed in float32."""
        x_float = x.float()
        unit = x_float * torch.rsqrt(x_float.square().sum(dim=1, keepdim=True) + 1e-10)
        return (unit * self.weight[:, None, None].float()).type_as(x)


class DilatedBranches(nn.Module):
    """Three branches of one, two and three dilated 3x3 convolutions, concatenated to the input's width."""

    def __init__(self, channels: int, norm_cfg: OptConfigType = None) -> None:
        super().__init__()
        third = channels // 3
        self.branches = nn.ModuleList(
            self._branch(channels, width, depth, norm_cfg)
            for depth, width in enumerate((third, third, channels - 2 * third), start=1)
        )

    @staticmethod
    def _branch(channels: int, width: int, depth: int, norm_cfg: OptConfigType) -> nn.Sequential:
        return nn.Sequential(
            *(
                ConvModule(
                    channels if layer == 0 else width,
                    width,
                    3,
                    padding=3,
                    dilation=3,
                    norm_cfg=norm_cfg,
                    act_cfg=dict(type='ReLU') if layer < depth - 1 else None,
                )
                for layer in range(depth)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        return F.relu(torch.cat([branch(x) for branch in self.branches], dim=1))


@MODELS.register_module()
class FEM(BaseModule):
    """Top-down feature enhancement: six original maps to (original, enhanced), each six maps.

    The top-down path multiplies the coarser level by a lateral convolution of the finer original map. The first three
    maps of both shots are L2-normalised with learnable scales; the input of the path is not normalised.

    Args:
        in_channels: widths of the original maps and of the enhanced ones, finest first.
        l2norm_scales: initial scales for the first maps; empty for none.
        norm_cfg: normalisation after each convolution, for training from scratch; none as published.
        init_cfg: Xavier as published.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (256, 512, 512, 1024, 512, 256),
        l2norm_scales: Sequence[float] = (10.0, 8.0, 5.0),
        norm_cfg: OptConfigType = None,
        init_cfg: OptMultiConfig = XAVIER,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = list(in_channels)
        coarse_to_fine = tuple(reversed(in_channels))
        relu: ConfigType = dict(type='ReLU')
        self.topdown = nn.ModuleList(
            ConvModule(inputs, outputs, 1, norm_cfg=norm_cfg, act_cfg=relu)
            for inputs, outputs in zip((coarse_to_fine[0], *coarse_to_fine), coarse_to_fine, strict=False)
        )
        self.laterals = nn.ModuleList(
            ConvModule(channels, channels, 1, norm_cfg=norm_cfg, act_cfg=None) for channels in coarse_to_fine[1:]
        )
        self.enhance = nn.ModuleList(DilatedBranches(channels, norm_cfg) for channels in in_channels)
        self.l2norm_original, self.l2norm_enhanced = (
            nn.ModuleList(L2Norm(channels, scale) for channels, scale in zip(in_channels, l2norm_scales, strict=False))
            for _ in range(2)
        )

    def forward(self, originals: Maps) -> tuple[Maps, Maps]:
        """Compute (L2-normalised originals, L2-normalised enhanced maps) from the original maps, finest first.

        Raises:
            InputError: the maps have other widths.
        """
        widths = [int(original.shape[1]) for original in originals]
        if widths != self.in_channels:
            raise InputError(
                f'the backbone gives maps of {widths} channels, but in_channels of the neck is {self.in_channels}: '
                'give the neck and both shots the channels of the backbone (docs/training.md, "Another backbone")'
            )
        x = self.topdown[0](originals[-1])
        path = [x]
        for topdown, lateral, original in zip(self.topdown[1:], self.laterals, originals[-2::-1], strict=True):
            resized = F.interpolate(topdown(x), size=original.shape[-2:], mode='bilinear', align_corners=False)
            x = F.relu(resized * lateral(original))
            path.append(x)
        enhanced = tuple(enhance(x) for enhance, x in zip(self.enhance, reversed(path), strict=True))
        return self._normalise(originals, self.l2norm_original), self._normalise(enhanced, self.l2norm_enhanced)

    @staticmethod
    def _normalise(maps: Maps, norms: nn.ModuleList) -> Maps:
        return (*(norm(x) for norm, x in zip(norms, maps, strict=False)), *maps[len(norms) :])
