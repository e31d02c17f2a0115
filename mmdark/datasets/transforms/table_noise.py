"""Noise of DarkISP for training: drawn strip by strip, each number by a table of its distribution's quantiles."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch

_LEVELS = 1 << 16
"""Values of a random number; the normal distribution ends at 4.2 standard deviations."""


class TableNoise:
    """The noise of ``sample_noise`` for one image at a third of its cost, drawn in strips.

    Args:
        seed: of the noise.
        quantise_pixels: whether each pixel has its own quantisation noise, or each channel.
    """

    def __init__(self, seed: int, quantise_pixels: bool) -> None:
        self._bits = np.random.SFC64(seed)
        self._channels = None if quantise_pixels else self._uniform((3, 1, 1))

    def strip(self, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The next rows.

        Args:
            shape: ``(3, rows, W)``.

        Returns:
            Standard normal numbers, ``(3, rows, W)``, and uniform ones in [-1, 1], of this shape or ``(3, 1, 1)``.
        """
        normal = np.take(_normal_quantiles(), self._draw(shape), mode='wrap')
        return normal, self._uniform(shape) if self._channels is None else self._channels

    def _uniform(self, shape: tuple[int, int, int]) -> np.ndarray:
        uniform = self._draw(shape).astype(np.float32)
        uniform *= 2 / _LEVELS
        uniform -= 1 - 1 / _LEVELS
        return uniform

    def _draw(self, shape: tuple[int, int, int]) -> np.ndarray:
        count = math.prod(shape)
        return self._bits.random_raw(-(-count // 4)).view(np.uint16)[:count].reshape(shape)


@cache
def _normal_quantiles() -> np.ndarray:
    middles = (torch.arange(_LEVELS, dtype=torch.float64) + 0.5) / _LEVELS
    return torch.special.ndtri(middles).float().numpy()
