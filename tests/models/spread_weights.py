"""Random weights of mmdet's detectors whose scores spread, and options that make their heads small."""

from __future__ import annotations

import torch
from torch import nn

SMALL_HEAD = {
    'bbox_head.in_channels': 32,
    'bbox_head.feat_channels': 32,
    'bbox_head.stacked_convs': 1,
    'neck.out_channels': 32,
}
"""Of RetinaNet and FCOS."""


def spread(model: nn.Module) -> None:
    """Scale each convolution so that what it gives has a standard deviation of 1: scores lie between 0 and 1."""

    def scale(module: nn.Conv2d, inputs: object, output: torch.Tensor) -> torch.Tensor:
        factor = 1 / output.std().clamp_min(1e-6)
        module.weight.mul_(factor)
        if module.bias is not None:
            module.bias.zero_()
        return output * factor

    detector = getattr(model, 'detector', model).eval()
    hooks = [part.register_forward_hook(scale) for part in detector.modules() if isinstance(part, nn.Conv2d)]
    images = [torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8)]
    with torch.no_grad():
        detector._forward(detector.data_preprocessor(dict(inputs=images))['inputs'])
    for hook in hooks:
        hook.remove()
