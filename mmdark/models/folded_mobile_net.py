"""MobileNetV2 (arXiv:1801.04381) whose batch norm is folded into the convolutions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mmdet.models.backbones import MobileNetV2
from mmdet.registry import MODELS
from mmengine.model import initialize
from torch import Tensor, nn

BATCH_NORM_EPS = 1e-5
"""Epsilon of torchvision's batch norm."""


@MODELS.register_module()
class FoldedMobileNetV2(MobileNetV2):
    """mmdet's ``MobileNetV2`` without batch norm, and without the layers after the last output.

    Frozen batch norm is a fixed scale and shift; :meth:`translate_published` multiplies them into the convolutions,
    which makes a training step on a CPU faster and saves memory. The arguments are those of ``MobileNetV2`` without
    ``norm_cfg`` and ``norm_eval``.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__(norm_cfg=None, **kwargs)
        for name in self.layers[max(self.out_indices) + 1 :]:
            delattr(self, name)
        del self.layers[max(self.out_indices) + 1 :]

    def init_weights(self) -> None:
        """Apply ``init_cfg`` again at the end, because the ``ConvModule`` ``conv1`` initialises itself after it."""
        super().init_weights()
        initialize(self, self.init_cfg)

    def published_names(self) -> dict[str, str]:
        """The module's own names; :meth:`translate_published` has already renamed torchvision's."""
        return {name: name for name in self.state_dict()}

    def translate_published(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Fold torchvision's ``mobilenet_v2`` into the weights of this module; other weights stay as they are."""
        pairs = list(self._published_layers())
        if not all(f'{norm}.running_var' in weights for _, _, norm in pairs):
            return dict(weights)
        folded = {}
        for own, conv, norm in pairs:
            mean, variance = weights[f'{norm}.running_mean'], weights[f'{norm}.running_var']
            scale = weights[f'{norm}.weight'] / (variance + BATCH_NORM_EPS).sqrt()
            folded[f'{own}.weight'] = weights[f'{conv}.weight'] * scale[:, None, None, None]
            folded[f'{own}.bias'] = weights[f'{norm}.bias'] - mean * scale
        return folded

    def _published_layers(self) -> Iterator[tuple[str, str, str]]:
        """For each convolution its name here, its name in torchvision, and torchvision's name of its batch norm."""
        yield 'conv1.conv', 'features.0.0', 'features.0.1'
        index = 0
        for layer in [name for name in self.layers if name != 'conv2']:
            for place, block in enumerate(getattr(self, layer)):
                index += 1
                convs = [name for name, module in block.named_modules() if isinstance(module, nn.Conv2d)]
                for step, name in enumerate(convs):
                    last = step == len(convs) - 1  # the linear convolution: torchvision does not nest it
                    ends = (f'{step}', f'{step + 1}') if last else (f'{step}.0', f'{step}.1')
                    conv, norm = (f'features.{index}.conv.{end}' for end in ends)
                    yield f'{layer}.{place}.{name}', conv, norm
        if 'conv2' in self.layers:
            yield 'conv2.conv', f'features.{index + 1}.0', f'features.{index + 1}.1'
