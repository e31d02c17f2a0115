"""DarkISP: a day photograph as a camera would have taken it in the dark.

The low-light synthesis of MAET (ICCV 2021) in the form DAI-Net (arXiv:2312.01220) uses it: the image is taken back to
the linear sensor signal, darkened there, given the noise of a sensor, and developed again. Camera tables are those of
"Unprocessing Images for Learned Raw Denoising" (arXiv:1811.11127).

Sampling the parameters and the noise is apart from applying them, so that any darkening can be repeated exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""Linear sRGB to CIE XYZ (D65)."""

XYZ_TO_CAMERA = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.613, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.838, -0.263, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.097, 0.1581, 0.5181)),
)
"""CIE XYZ to the sensor colours of four cameras."""

FLOOR = 1e-8
"""No signal and no noise variance is smaller than this before a power or a root is taken."""


@dataclass(frozen=True)
class Preset:
    """What differs between the published form of DarkISP and its corrections.

    Attributes:
        darkness: bounds of the darkness factor k.
        normalise_rows: colour matrices keep white white. The published code divides columns instead of rows (it lacks
            ``keepdims``), which only changes the colour and the level of the noise.
        quantise_pixels: quantisation noise is drawn for each pixel and is half a step of ``2**bits`` wide. The
            published code draws three numbers an image, one a channel, of width ``1 / (255 * bits)``.
        clip: the result is clipped to [0, 1].
    """

    darkness: tuple[float, float]
    normalise_rows: bool = False
    quantise_pixels: bool = False
    clip: bool = False


PRESETS = {
    'dainet': Preset(darkness=(0.01, 0.1)),
    'maet': Preset(darkness=(0.01, 1.0)),
    'corrected': Preset(darkness=(0.01, 0.1), normalise_rows=True, quantise_pixels=True, clip=True),
}
"""``dainet`` and ``maet``: as published; ``corrected``: the physics those two approximate."""


@dataclass(frozen=True)
class ISPParameters:
    """The parameters of DarkISP for a batch of ``B`` images, each a tensor of shape ``(B,)``.

    Attributes:
        gamma: exponent of the tone curve.
        red_gain: white balance of red.
        blue_gain: white balance of blue.
        rgb_gain: exposure gain.
        darkness: factor k on the linear signal.
        camera: index into :data:`XYZ_TO_CAMERA`, int64.
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
    """The random numbers of DarkISP before they are scaled.

    Attributes:
        shot_read: standard normal, ``(B, 3, H, W)``.
        quantisation: uniform in [-1, 1], ``(B, 3, 1, 1)``, or ``(B, 3, H, W)`` when drawn for each pixel.
    """

    shot_read: Tensor
    quantisation: Tensor


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise ValueError(f'unknown DarkISP preset {name!r}; choose one of {", ".join(PRESETS)}')
    return PRESETS[name]


def _uniform(low: float, high: float, batch: int, generator: torch.Generator | None) -> Tensor:
    return low + (high - low) * torch.rand(batch, generator=generator)


def _truncated_normal(
    mean: float, std: float, bounds: tuple[float, float], batch: int, generator: torch.Generator | None
) -> Tensor:
    low, high = torch.special.ndtr((torch.tensor(bounds, dtype=torch.float64) - mean) / std)
    quantile = low + (high - low) * torch.rand(batch, generator=generator, dtype=torch.float64)
    return (mean + std * torch.special.ndtri(quantile)).float()


def sample_parameters(batch: int, preset: str = 'dainet', generator: torch.Generator | None = None) -> ISPParameters:
    """Draw the parameters of ``batch`` darkenings.

    Args:
        batch: number of images.
        preset: a name in :data:`PRESETS`; decides the range of the darkness.
        generator: source of the randomness, on the CPU; torch's global one by default.

    Returns:
        Parameters on the CPU.

    Raises:
        ValueError: the preset is unknown.

    Example:
        >>> sample_parameters(2, generator=torch.Generator().manual_seed(0)).darkness.shape
        torch.Size([2])
    """
    darkness = _preset(preset).darkness
    log_shot = _uniform(torch.tensor(1e-4).log().item(), torch.tensor(0.012).log().item(), batch, generator)
    log_read = 2.18 * log_shot + 1.20 + 0.26 * torch.randn(batch, generator=generator)
    return ISPParameters(
        gamma=_uniform(2.0, 3.5, batch, generator),
        red_gain=_uniform(1.9, 2.4, batch, generator),
        blue_gain=_uniform(1.5, 1.9, batch, generator),
        rgb_gain=0.8 + 0.1 * torch.randn(batch, generator=generator),
        darkness=_truncated_normal(0.1, 0.08, darkness, batch, generator),
        camera=torch.randint(len(XYZ_TO_CAMERA), (batch,), generator=generator),
        bits=torch.tensor([12.0, 14.0, 16.0])[torch.randint(3, (batch,), generator=generator)],
        shot_noise=log_shot.exp(),
        read_noise=log_read.exp(),
    )


def sample_noise(
    shape: tuple[int, int, int, int],
    preset: str = 'dainet',
    generator: torch.Generator | None = None,
    device: torch.device | str = 'cpu',
) -> ISPNoise:
    """Draw the noise of one batch.

    Args:
        shape: ``(B, 3, H, W)`` of the images.
        preset: a name in :data:`PRESETS`; decides the shape of the quantisation noise.
        generator: source of the randomness, on ``device``; torch's global one by default.
        device: where the noise is made.

    Raises:
        ValueError: the preset is unknown.
    """
    quantisation_shape = shape if _preset(preset).quantise_pixels else (*shape[:2], 1, 1)
    return ISPNoise(
        shot_read=torch.randn(shape, generator=generator, device=device),
        quantisation=2 * torch.rand(quantisation_shape, generator=generator, device=device) - 1,
    )


def darken(images: Tensor, parameters: ISPParameters, noise: ISPNoise | None = None, preset: str = 'dainet') -> Tensor:
    """Darken a batch of photographs.

    Args:
        images: RGB in [0, 1], shape ``(B, 3, H, W)``.
        parameters: of :func:`sample_parameters`, on the device of the images.
        noise: of :func:`sample_noise`; None leaves the signal noiseless.
        preset: a name in :data:`PRESETS`.

    Returns:
        The dark images, float32, shape ``(B, 3, H, W)``; only the ``corrected`` preset clips them to [0, 1].

    Raises:
        ValueError: the preset is unknown.

    Example:
        >>> light = torch.rand(1, 3, 8, 8)
        >>> dark = darken(light, sample_parameters(1))
        >>> bool(dark.mean() < light.mean())
        True
    """
    choice = _preset(preset)
    with torch.autocast(images.device.type, enabled=False):  # powers of 1/gamma in half precision lose the shadows
        images = images.float()
        gamma = parameters.gamma.float().view(-1, 1, 1, 1)
        to_camera, to_rgb = _colour_matrices(parameters, choice.normalise_rows)
        signal = (0.5 - torch.sin(torch.asin(1.0 - 2.0 * images) / 3.0)).clamp(min=FLOOR) ** gamma
        signal = torch.einsum('bij,bjhw->bihw', to_camera, signal)
        if noise is not None:
            signal = signal + _scaled_noise(signal, parameters, noise, choice.quantise_pixels)
        signal = torch.einsum('bij,bjhw->bihw', to_rgb, signal)
        dark = signal.clamp(min=FLOOR) ** (1.0 / gamma)
        return dark.clamp(0.0, 1.0) if choice.clip else dark


def _colour_matrices(parameters: ISPParameters, normalise_rows: bool) -> tuple[Tensor, Tensor]:
    """Linear RGB to the dark, white-unbalanced sensor signal and back, each ``(B, 3, 3)``; darkness stays in."""
    device = parameters.gamma.device
    matrix = torch.tensor(XYZ_TO_CAMERA, dtype=torch.float64) @ torch.tensor(RGB_TO_XYZ, dtype=torch.float64)
    sums = matrix.sum(-1, keepdim=True)
    matrix = matrix / (sums if normalise_rows else sums.transpose(-1, -2))
    to_camera = matrix.float().to(device)[parameters.camera]
    to_rgb = torch.linalg.inv(matrix).float().to(device)[parameters.camera]
    ones = torch.ones_like(parameters.red_gain, dtype=torch.float32)
    gains = torch.stack([parameters.red_gain.float(), ones, parameters.blue_gain.float()], dim=-1)
    level = (parameters.rgb_gain * parameters.darkness).float().view(-1, 1, 1)
    return to_camera / gains[:, :, None] * level, to_rgb * gains[:, None, :]


def _scaled_noise(signal: Tensor, parameters: ISPParameters, noise: ISPNoise, quantise_pixels: bool) -> Tensor:
    """Shot, read and quantisation noise for a sensor signal of shape ``(B, 3, H, W)``."""
    shot, read, bits = (
        value.float().view(-1, 1, 1, 1) for value in (parameters.shot_noise, parameters.read_noise, parameters.bits)
    )
    deviation = (signal * shot + read).clamp(min=FLOOR).sqrt()
    step = 0.5 / 2.0**bits if quantise_pixels else 1.0 / (255.0 * bits)
    return noise.shot_read * deviation + noise.quantisation * step
