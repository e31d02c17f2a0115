"""Weights and images of the golden cases, from names, shapes and seeds alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

L2NORM_SCALES = {'1': 10.0, '2': 8.0, '3': 5.0}
"""Initial scale by the number at the end of a published L2Norm's name."""


def published_weights(shapes: Mapping[str, Iterable[int]], model: str = 'dark') -> dict[str, Tensor]:
    """A state dict in published names: normal numbers seeded by each name, scaled so that activations stay moderate.

    Args:
        shapes: published key → shape.
        model: ``dark`` (also for the teacher), ``vgg``, ``resnet50``, ``resnet101`` or ``resnet152``.
    """
    return {name: torch.from_numpy(np.asarray(_weight(name, tuple(shape), model))) for name, shape in shapes.items()}


def _weight(name: str, shape: tuple[int, ...], model: str) -> np.ndarray:
    if name.endswith('num_batches_tracked'):
        return np.zeros(shape, np.int64)
    normal = _generator(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if name.endswith('running_mean'):
        return 0.1 * normal
    if name.endswith('running_var'):
        return (1 + 0.1 * np.abs(normal)).astype(np.float32)
    if name.endswith('.bias'):
        return 0.01 * normal
    if len(shape) == 1:
        return (_scale(name) * (1 + 0.05 * normal)).astype(np.float32)
    damped = 0.8 if model.startswith('resnet') and name.startswith('fpn_') else 1.0
    return (damped * normal * np.sqrt(2.0 / np.prod(shape[1:]))).astype(np.float32)


def _scale(name: str) -> float:
    """Of L2Norm, of the last batch norm in a residual block, or of another batch norm."""
    room = name.split('.')[0]
    return L2NORM_SCALES[room[-1]] if room.startswith('L2Norm') else 0.2 if '.bn3.' in name else 1.0


def light_image(seed: int, batch: int, height: int, width: int) -> Tensor:
    """A smooth random image, RGB in [0, 1], ``(B, 3, H, W)``."""
    generator = _generator(seed)
    coarse = generator.rand(batch, 3, height // 16 + 2, width // 16 + 2).astype(np.float32)
    smooth = F.interpolate(torch.from_numpy(coarse), size=(height, width), mode='bilinear', align_corners=False)
    grain = generator.standard_normal((batch, 3, height, width)).astype(np.float32)
    return (smooth + 0.02 * torch.from_numpy(grain)).clamp(0, 1)


def dark_image(light: Tensor, seed: int) -> Tensor:
    """The dark partner of :func:`light_image`, the same shape; not DarkISP."""
    grain = np.abs(_generator(seed).standard_normal(tuple(light.shape))).astype(np.float32)
    return (light**1.3 * 0.25 + 0.01 * torch.from_numpy(grain)).clamp(0, 1)


def _generator(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)  # the golden numbers were made with numpy's legacy generator
