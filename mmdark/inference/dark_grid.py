"""Dark versions of a photograph by DarkISP: a grid over presets and seeds."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from mmdark.dark_isp import PRESETS, ISPParameters, darken, sample_noise, sample_parameters
from mmdark.drawing import GAP, join_panels, pixels_of, tensor_of
from mmdark.errors import InputError


def dark_grid(
    image: np.ndarray,
    presets: Sequence[str] = tuple(PRESETS),
    seeds: Sequence[int] = (0, 1, 2),
    width: int = 420,
) -> np.ndarray:
    """One row per preset: the photograph, then one dark version per seed, titled with its sampled parameters.

    The photograph is scaled down first so that the noise of single pixels stays visible. All presets in a column use
    the same random numbers, from ``torch.Generator().manual_seed(seed)``.

    Args:
        image: a daylight photograph, ``(H, W, 3)`` BGR uint8.
        presets: names in :data:`mmdark.dark_isp.PRESETS`.
        seeds: non-negative integers.
        width: maximum width of one picture, in pixels.

    Raises:
        InputError: a preset is unknown, a seed is out of range, or there are none.
    """
    unknown = ', '.join(name for name in presets if name not in PRESETS)
    if unknown or not len(presets):
        raise InputError(f'DarkISP has no preset {unknown or "without a name"}: choose from {", ".join(PRESETS)}')
    if not len(seeds) or min(seeds) < 0 or max(seeds) >= 2**63:
        raise InputError(f'seeds {list(seeds)}: give at least one whole number from 0 on')
    height = max(1, round(image.shape[0] * min(1.0, width / image.shape[1])))
    size = (min(width, image.shape[1]), height)
    light = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    rows = [
        join_panels([(f'{name}: the photograph', light), *(_darkened(light, name, seed) for seed in seeds)])
        for name in presets
    ]
    gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    return np.vstack([part for row in rows for part in (row, gap)][:-1])


def _darkened(light: np.ndarray, preset: str, seed: int) -> tuple[str, np.ndarray]:
    generator = torch.Generator().manual_seed(seed)
    parameters = sample_parameters(1, preset, generator)
    rgb = tensor_of(light)[None]
    noise = sample_noise(tuple(rgb.shape), preset, generator)
    return f'seed {seed}: {in_short(parameters)}', pixels_of(darken(rgb, parameters, noise, preset)[0])


def in_short(parameters: ISPParameters) -> str:
    """Summary of one image's parameters: darkness factor k, exponent gamma, variances of shot and read noise, camera.

    Example:
        >>> in_short(sample_parameters(1, generator=torch.Generator().manual_seed(0)))
        'k 0.073, gamma 2.95, shot 1.1e-03, read 1.2e-06, camera 1'
    """
    darkness, gamma, shot, read = (
        value.item() for value in (parameters.darkness, parameters.gamma, parameters.shot_noise, parameters.read_noise)
    )
    return f'k {darkness:.3f}, gamma {gamma:.2f}, shot {shot:.1e}, read {read:.1e}, camera {parameters.camera.item()}'
