"""The ResNet backbones of DSFD (arXiv:1810.10220), with a stem whose shallow features DAI-Net aligns."""

from __future__ import annotations

from mmcv.cnn import ConvModule
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, OptMultiConfig
from torch import Tensor, nn
from torch.nn import functional as F

from .dark_vgg import EXTRA_CHANNELS, at_least, widened

BATCH_NORM = dict(type='BN', requires_grad=True)


@MODELS.register_module()
class DarkResNet(ResNet):
    """mmdet's ResNet with the four extra convolutions of DSFD: six maps of stride 4 to 128.

    ``forward(x)`` is ``forward_stages(stem(x))``; the stem (conv1 and its normalisation) gives shallow features of the
    same width and stride as :class:`DarkVGG`'s.

    Args:
        depth: 50, 101 or 152 as published; 18 and 34 work too.
        widen_factor: factor on all widths, which are rounded to multiples of 8.
        norm_cfg: normalisation of the ResNet; the extra convolutions have none.
        norm_eval: keep the statistics of batch norm fixed, so that light and dark images are normalised alike. The
            published code does so after its first validation, because it never leaves eval mode. Use False to train
            from scratch.
        frozen_stages: as in mmdet; -1 trains everything, as published.
        init_cfg: see mmdet; Kaiming by default.

    Example:
        >>> import torch
        >>> [map_.shape[1:] for map_ in DarkResNet(50, widen_factor=0.125)(torch.rand(1, 3, 128, 128))][::5]
        [torch.Size([32, 32, 32]), torch.Size([32, 1, 1])]
    """

    published_prefix = 'resnet'

    def __init__(
        self,
        depth: int,
        widen_factor: float = 1.0,
        norm_cfg: ConfigType = BATCH_NORM,
        norm_eval: bool = True,
        frozen_stages: int = -1,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        base, *extras = (widened(width, widen_factor) for width in (64, *EXTRA_CHANNELS))
        super().__init__(
            depth,
            base_channels=base,
            norm_cfg=norm_cfg,
            norm_eval=norm_eval,
            frozen_stages=frozen_stages,
            init_cfg=init_cfg,
        )
        stages = tuple(self.block.expansion * base * 2**stage for stage in range(4))
        self.extras = nn.ModuleList(
            nn.Sequential(ConvModule(inputs, squeeze, 1), ConvModule(squeeze, expand, 3, stride=2, padding=1))
            for inputs, squeeze, expand in ((stages[-1], *extras[:2]), (extras[1], *extras[2:]))
        )
        self.shallow_channels = base
        self.out_channels = (*stages, extras[1], extras[3])

    def stem(self, images: Tensor) -> Tensor:
        """Shallow features ``(B, C, H / 2, W / 2)``, rounded up, of images ``(B, 3, H, W)``."""
        return F.relu(self.norm1(self.conv1(images)))

    def forward_stages(self, shallow: Tensor) -> tuple[Tensor, ...]:
        """Shallow features ``(B, C, H / 2, W / 2)`` to six maps of stride 4, 8, 16, 32, 64 and 128."""
        maps = []
        x = self.maxpool(shallow)
        for name in self.res_layers:
            x = getattr(self, name)(x)
            maps.append(x)
        for squeeze, expand in self.extras:
            x = expand(at_least(squeeze(x), 2))  # see DarkVGG
            maps.append(x)
        return tuple(maps)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """RGB images in [0, 1] of shape ``(B, 3, H, W)`` to six maps; see :meth:`forward_stages`."""
        return self.forward_stages(self.stem(images))

    def train(self, mode: bool = True) -> DarkResNet:
        """Set the mode and return the module; mmdet's method returns None."""
        super().train(mode)
        return self

    def published_names(self) -> dict[str, str]:
        """Key in torchvision's ResNet file → key here: the same names, without its classifier and the extras."""
        return {name: name for name in self.state_dict() if not name.startswith('extras.')}
