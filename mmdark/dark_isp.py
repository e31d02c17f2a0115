"""DarkISP: a day photograph as a camera would have taken it in the dark.

The low-light synthesis of MAET (ICCV 2021) in the form DAI-Net (arXiv:2312.01220) uses it: the image is taken back to
the linear sensor signal, darkened there, given the noise of a sensor, and developed again. Camera tables are those of
"Unprocessing Images for Learned Raw Denoising" (arXiv:1811.11127).

Sampling the parameters and the noise is apart from applying them, so that any darkening can be repeated exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

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

PUBLISHED_CAMERA_TO_RGB = (
    (
        (1.262272, -0.18766351, 0.0988423899),
        (-0.367268294, 1.1334672, 0.0209955797),
        (-0.0210718606, -0.293963403, 1.37298894),
    ),
    (
        (2.12077475, -0.348472327, -0.0706614256),
        (-0.349064499, 1.58615351, -0.588745356),
        (0.108283378, -0.345311821, 1.39168406),
    ),
    (
        (1.70548868, -0.230853602, -0.118933007),
        (-0.673749685, 1.81680393, -0.831311524),
        (0.0468912013, -0.311357737, 1.46112835),
    ),
    (
        (1.63424265, -0.147975624, -0.111841895),
        (-0.5434587, 1.50240672, -0.534664452),
        (0.0718105137, -0.255993247, 1.38892078),
    ),
)
"""Inverses of the published colour matrices in float32: LU decomposition with row pivots, each operation rounded.

A library's inverse differs from these in the last digits, from machine to machine, and near the floor the last root
makes 2e-5 of that. With them the ``dainet`` preset gives what the published code printed.
"""

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


def sample_parameters(batch: int, preset: str = 'corrected', generator: torch.Generator | None = None) -> ISPParameters:
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
    preset: str = 'corrected',
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


def darken(
    images: Tensor, parameters: ISPParameters, noise: ISPNoise | None = None, preset: str = 'corrected'
) -> Tensor:
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
        gamma = parameters.gamma.view(-1, 1, 1, 1)
        to_camera, to_rgb = (
            matrices.to(images.device)[parameters.camera] for matrices in _colour_matrices(choice.normalise_rows)
        )
        balance = _white_balance(parameters)
        signal = (0.5 - torch.sin(torch.asin(1.0 - 2.0 * images) / 3.0)).clamp(min=FLOOR) ** gamma.float()
        signal = _mix_channels(to_camera, signal) * (parameters.rgb_gain.view(-1, 1, 1, 1) / balance).float()
        signal = signal * parameters.darkness.float().view(-1, 1, 1, 1)
        if noise is not None:
            signal = _with_noise(signal, parameters, noise, choice.quantise_pixels)
        signal = _mix_channels(to_rgb, signal * balance.float())
        dark = signal.clamp(min=FLOOR) ** (1.0 / gamma).float()
        return dark.clamp(0.0, 1.0) if choice.clip else dark


@cache
def _colour_matrices(normalise_rows: bool) -> tuple[Tensor, Tensor]:
    """Linear RGB to sensor colours and back for each camera, both ``(4, 3, 3)``."""
    to_camera, to_xyz = (torch.tensor(m, dtype=torch.float64, device='cpu') for m in (XYZ_TO_CAMERA, RGB_TO_XYZ))
    matrices = to_camera @ to_xyz
    if normalise_rows:
        matrices = matrices / matrices.sum(-1, keepdim=True)
        return matrices.float(), torch.linalg.inv(matrices).float()
    to_rgb = torch.tensor(PUBLISHED_CAMERA_TO_RGB, dtype=torch.float32, device='cpu')
    return (matrices / matrices.sum(-1)[:, None]).float(), to_rgb


def _white_balance(parameters: ISPParameters) -> Tensor:
    """Gains of the three channels, ``(B, 3, 1, 1)``."""
    gains = (parameters.red_gain, torch.ones_like(parameters.red_gain), parameters.blue_gain)
    return torch.stack(gains, dim=-1)[:, :, None, None]


def _mix_channels(matrices: Tensor, signal: Tensor) -> Tensor:
    """``(B, 3, 3)`` on ``(B, 3, H, W)``, each product and each sum rounded, as published: a fused one rounds once."""
    red, green, blue = (matrices[:, :, channel, None, None] * signal[:, channel, None] for channel in range(3))
    return red + green + blue


def _with_noise(signal: Tensor, parameters: ISPParameters, noise: ISPNoise, quantise_pixels: bool) -> Tensor:
    """Shot, read and quantisation noise added to a sensor signal of shape ``(B, 3, H, W)``."""
    shot, read, bits = (
        value.float().view(-1, 1, 1, 1) for value in (parameters.shot_noise, parameters.read_noise, parameters.bits)
    )
    deviation = (signal * shot + read).clamp(min=FLOOR).sqrt()
    step = 0.5 / 2.0**bits if quantise_pixels else 1.0 / (255.0 * bits)
    return signal + noise.shot_read * deviation + noise.quantisation * step
