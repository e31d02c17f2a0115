"""DarkISP on the pixels of a batch, with given parameters and noise."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mmdark.dark_isp.camera_colours import colour_matrices
from mmdark.dark_isp.sampling import ISPNoise, ISPParameters, find_preset

FLOOR = 1e-8
"""Lower bound of the signal and of the noise variance before a power or a root."""


class PixelSteps(NamedTuple):
    """The parameters as they are applied to the pixels of ``B`` images, float32.

    Attributes:
        gamma: exponent that makes the signal linear, ``(B,)``.
        to_camera: matrices from linear RGB to the sensor, ``(B, 3, 3)``.
        exposure: ``E`` consecutive factors of the sensor signal, ``(B, E, 3)``; E is 0 if folded.
        shot_noise: noise variance per unit of signal, ``(B,)``.
        read_noise: noise variance without signal, ``(B,)``.
        quantisation: factor of the quantisation noise, ``(B,)``.
        balance: ``E`` factors of the noisy signal, ``(B, E, 3)``; E is 0 if folded.
        to_rgb: matrices from the sensor to linear RGB, ``(B, 3, 3)``.
        root: exponent that restores the tone curve, ``(B,)``.
    """

    gamma: Tensor
    to_camera: Tensor
    exposure: Tensor
    shot_noise: Tensor
    read_noise: Tensor
    quantisation: Tensor
    balance: Tensor
    to_rgb: Tensor
    root: Tensor

    def to(self, device: torch.device) -> PixelSteps:
        """Copy to ``device`` in one asynchronous transfer."""
        if self.gamma.device == device:
            return self
        rows = [field.flatten(1) if field.dim() > 1 else field[:, None] for field in self]
        parts = torch.cat(rows, dim=1).to(device, non_blocking=True).split([row.shape[1] for row in rows], dim=1)
        return PixelSteps(*(part.reshape(field.shape) for part, field in zip(parts, self, strict=True)))


def pixel_steps(parameters: ISPParameters, preset: str = 'corrected') -> PixelSteps:
    """Compute the steps on the device of the parameters, preferably the CPU.

    Raises:
        ValueError: the preset is unknown.
    """
    choice = find_preset(preset)
    gains = (parameters.red_gain, torch.ones_like(parameters.red_gain), parameters.blue_gain)
    balance = torch.stack(gains, dim=-1)
    exposure = (parameters.rgb_gain[:, None] / balance).float()
    darkness = parameters.darkness.float()[:, None]
    to_camera, to_rgb = (
        matrices.to(balance.device)[parameters.camera] for matrices in colour_matrices(choice.normalise_rows)
    )
    factors = torch.stack([exposure, darkness.expand_as(exposure)], dim=1), balance.float()[:, None]
    if choice.fold:
        to_camera = ((exposure.double() * darkness)[:, :, None] * to_camera).float()
        to_rgb = (to_rgb * balance[:, None].double()).float()
        factors = tuple(factor[:, :0] for factor in factors)
    bits = parameters.bits.float()
    return PixelSteps(
        gamma=parameters.gamma.float(),
        to_camera=to_camera,
        exposure=factors[0],
        shot_noise=parameters.shot_noise.float(),
        read_noise=parameters.read_noise.float(),
        quantisation=0.5 / 2.0**bits if choice.quantise_pixels else 1.0 / (255.0 * bits),
        balance=factors[1],
        to_rgb=to_rgb,
        root=(1.0 / parameters.gamma).float(),
    )


def linear_signal(images: Tensor, gamma: Tensor) -> Tensor:
    """Convert images in [0, 1] to linear RGB: invert the tone curve (smoothstep), then the (broadcast) gamma."""
    return (0.5 - torch.sin(torch.asin(1.0 - 2.0 * images) / 3.0)).clamp(min=FLOOR) ** gamma


def darken(
    images: Tensor, parameters: ISPParameters, noise: ISPNoise | None = None, preset: str = 'corrected'
) -> Tensor:
    """Darken a batch of photographs.

    Args:
        images: RGB in [0, 1], shape ``(B, 3, H, W)``.
        parameters: result of :func:`sample_parameters`, preferably on the CPU, from where the copy is asynchronous.
        noise: result of :func:`sample_noise`, on the device of the images; None adds no noise.
        preset: a name in :data:`PRESETS`.

    Returns:
        The dark images, float32, shape ``(B, 3, H, W)``; only the ``corrected`` preset clips them to [0, 1].

    Raises:
        ValueError: the preset is unknown.

    Example:
        >>> from mmdark.dark_isp import sample_parameters
        >>> light = torch.rand(1, 3, 8, 8)
        >>> dark = darken(light, sample_parameters(1))
        >>> bool(dark.mean() < light.mean())
        True
    """
    with torch.autocast(
        images.device.type, enabled=False
    ):  # half precision would lose the shadows in the power 1/gamma
        steps = pixel_steps(parameters, preset).to(images.device)
        gamma, shot, read, step, root = (
            value.view(-1, 1, 1, 1)
            for value in (steps.gamma, steps.shot_noise, steps.read_noise, steps.quantisation, steps.root)
        )
        signal = _mix_channels(steps.to_camera, linear_signal(images.float(), gamma))
        for factor in steps.exposure.unbind(1):
            signal = signal * factor[:, :, None, None]
        if noise is not None:
            deviation = (signal * shot + read).clamp(min=FLOOR).sqrt()
            signal = signal + noise.shot_read * deviation + noise.quantisation * step
        for factor in steps.balance.unbind(1):
            signal = signal * factor[:, :, None, None]
        dark = _mix_channels(steps.to_rgb, signal).clamp(min=FLOOR) ** root
        return dark.clamp(0.0, 1.0) if find_preset(preset).clip else dark


def _mix_channels(matrices: Tensor, signal: Tensor) -> Tensor:
    """Multiply ``(B, 3, 3)`` by ``(B, 3, H, W)``; products and sums are rounded separately as published, not fused."""
    red, green, blue = (matrices[:, :, channel, None, None] * signal[:, channel, None] for channel in range(3))
    return red + green + blue
