"""The random parameters and noise of DarkISP, with the published presets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from mmdark.dark_isp.camera_colours import XYZ_TO_CAMERA


@dataclass(frozen=True)
class Preset:
    """Switches between the published DarkISP and its corrections.

    Attributes:
        darkness: bounds of the darkness factor k.
        normalise_rows: normalise the rows of the colour matrices, so that white stays white. The published code
            normalises the columns (it lacks ``keepdims``), which only changes the colour and the level of the noise.
        quantise_pixels: quantisation noise is drawn for each pixel, half a step of ``2**bits`` wide. The published code
            draws three numbers per image, one per channel, of width ``1 / (255 * bits)``.
        clip: the result is clipped to [0, 1].
        fold: multiply gains, darkness and colour matrix into one matrix per direction. The published code applies them
            one after another; the different rounding near the lower clamp changes the image by 1e-4.
    """

    darkness: tuple[float, float]
    normalise_rows: bool = False
    quantise_pixels: bool = False
    clip: bool = False
    fold: bool = False


PRESETS = {
    'dainet': Preset(darkness=(0.01, 0.1)),
    'maet': Preset(darkness=(0.01, 1.0)),
    'corrected': Preset(darkness=(0.01, 0.1), normalise_rows=True, quantise_pixels=True, clip=True, fold=True),
}
"""``dainet`` and ``maet`` as published; ``corrected``: the physics that those two approximate."""


@dataclass(frozen=True)
class ISPParameters:
    """The parameters of DarkISP for ``B`` images, each of shape ``(B,)``.

    Attributes:
        gamma: exponent of the tone curve.
        red_gain: white balance of red.
        blue_gain: white balance of blue.
        rgb_gain: exposure gain.
        darkness: factor k on the linear signal.
        camera: index into :data:`mmdark.dark_isp.camera_colours.XYZ_TO_CAMERA`, int64.
        bits: bit depth of the sensor.
        shot_noise: noise variance per unit of signal.
        read_noise: noise variance without signal.
    """

    gamma: Tensor
    red_gain: Tensor
    blue_gain: Tensor
    rgb_gain: Tensor
    darkness: Tensor
    camera: Tensor
    bits: Tensor
    shot_noise: Tensor
    read_noise: Tensor

    def to(self, device: torch.device | str) -> ISPParameters:
        """The same parameters on ``device``."""
        return ISPParameters(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


@dataclass(frozen=True)
class ISPNoise:
    """The unscaled random numbers of DarkISP.

    Attributes:
        shot_read: standard normal, ``(B, 3, H, W)``.
        quantisation: uniform in [-1, 1], ``(B, 3, 1, 1)``, or ``(B, 3, H, W)`` when drawn for each pixel.
    """

    shot_read: Tensor
    quantisation: Tensor


def find_preset(name: str) -> Preset:
    """The preset of that name; ValueError if it is unknown."""
    if name not in PRESETS:
        raise ValueError(f'unknown DarkISP preset {name!r}; choose one of {", ".join(PRESETS)}')
    return PRESETS[name]


def sample_parameters(batch: int, preset: str = 'corrected', generator: torch.Generator | None = None) -> ISPParameters:
    """Draw the parameters for ``batch`` images, on the CPU.

    The preset sets the range of the darkness. ``generator`` must be on the CPU; None uses torch's global one.

    Raises:
        ValueError: the preset is unknown.

    Example:
        >>> sample_parameters(2, generator=torch.Generator().manual_seed(0)).darkness.shape
        torch.Size([2])
    """
    return _to_parameters(_draw(batch, generator), preset)


def sample_parameters_each(generators: Sequence[torch.Generator], preset: str = 'corrected') -> ISPParameters:
    """Call ``sample_parameters(1, preset, generator)`` for each generator and concatenate the results.

    Raises:
        ValueError: the preset is unknown.
    """
    drawn = zip(*(_draw(1, generator) for generator in generators), strict=True)
    return _to_parameters(tuple(map(torch.cat, drawn)), preset)


def _draw(batch: int, generator: torch.Generator | None) -> tuple[Tensor, ...]:
    """Unscaled random numbers, each ``(batch,)``; reordering the draws would change the darkness of each seed."""
    log_shot = torch.rand(batch, generator=generator)
    log_read = torch.randn(batch, generator=generator)
    gamma, red, blue = (torch.rand(batch, generator=generator) for _ in range(3))
    exposure = torch.randn(batch, generator=generator)
    darkness = torch.rand(batch, generator=generator, dtype=torch.float64)
    camera = torch.randint(len(XYZ_TO_CAMERA), (batch,), generator=generator)
    bits = torch.randint(3, (batch,), generator=generator)
    return log_shot, log_read, gamma, red, blue, exposure, darkness, camera, bits


def _to_parameters(drawn: tuple[Tensor, ...], preset: str) -> ISPParameters:
    """Transform the numbers of :func:`_draw` to the distributions of the paper."""
    log_shot, log_read, gamma, red, blue, exposure, darkness, camera, bits = drawn
    log_shot = _uniform(torch.tensor(1e-4).log().item(), torch.tensor(0.012).log().item(), log_shot)
    log_read = 2.18 * log_shot + 1.20 + 0.26 * log_read
    return ISPParameters(
        gamma=_uniform(2.0, 3.5, gamma),
        red_gain=_uniform(1.9, 2.4, red),
        blue_gain=_uniform(1.5, 1.9, blue),
        rgb_gain=0.8 + 0.1 * exposure,
        darkness=_truncated_normal(0.1, 0.08, find_preset(preset).darkness, darkness),
        camera=camera,
        bits=torch.tensor([12.0, 14.0, 16.0])[bits],
        shot_noise=log_shot.exp(),
        read_noise=log_read.exp(),
    )


def _uniform(low: float, high: float, part: Tensor) -> Tensor:
    return low + (high - low) * part


def _truncated_normal(mean: float, std: float, bounds: tuple[float, float], part: Tensor) -> Tensor:
    low, high = torch.special.ndtr((torch.tensor(bounds, dtype=torch.float64) - mean) / std)
    return (mean + std * torch.special.ndtri(low + (high - low) * part)).float()


def sample_noise(
    shape: tuple[int, int, int, int],
    preset: str = 'corrected',
    generator: torch.Generator | None = None,
    device: torch.device | str = 'cpu',
) -> ISPNoise:
    """Draw the noise for images of shape ``(B, 3, H, W)`` on ``device``.

    The preset sets the shape of the quantisation noise. ``generator`` must be on ``device``; None uses torch's global
    one.

    Raises:
        ValueError: the preset is unknown.
    """
    quantisation_shape = shape if find_preset(preset).quantise_pixels else (*shape[:2], 1, 1)
    return ISPNoise(
        shot_read=torch.randn(shape, generator=generator, device=device),
        quantisation=torch.empty(quantisation_shape, device=device).uniform_(-1, 1, generator=generator),
    )
