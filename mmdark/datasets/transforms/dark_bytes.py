"""DarkISP on an 8-bit image: the linear signal by table, all else strip by strip in the cache of the processor."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch

from mmdark.dark_isp import FLOOR, ISPNoise, ISPParameters, PixelSteps, find_preset, linear_signal, pixel_steps
from mmdark.datasets.transforms.table_noise import TableNoise

_STRIP = 32768
"""Pixels of a strip: four arrays of three floats a pixel stay in a cache of 2 MB."""

_ROWS = 32
"""Strips have a multiple of so many rows: torch rounds the powers at the end of an array, up to 31 of them, apart."""


def darken_bytes(
    image: np.ndarray, parameters: ISPParameters, noise: ISPNoise | TableNoise, preset: str = 'corrected'
) -> np.ndarray:
    """What :func:`mmdark.dark_isp.darken` does, for one 8-bit image.

    Equal to it where the published code is followed step by step; within float32 rounding of the linear signal where
    the steps are folded.

    Args:
        image: uint8 ``(H, W, 3)`` BGR.
        parameters: of one darkening.
        noise: of ``(1, 3, H, W)``, RGB; or one that is drawn strip by strip.
        preset: a name in ``mmdark.dark_isp.PRESETS``.

    Returns:
        float32 ``(H, W, 3)`` BGR on the 0-255 scale.

    Raises:
        ValueError: the preset is unknown.
    """
    choice, steps = find_preset(preset), pixel_steps(parameters, preset)
    table = linear_signal(torch.arange(256) / 255.0, steps.gamma).numpy()
    height, width = image.shape[:2]
    rows = _ROWS * max(1, _STRIP // (_ROWS * width))
    buffers = np.empty((2, 3 * min(rows, height) * width), dtype=np.float32)
    dark = np.empty(image.shape, dtype=np.float32)
    for top in range(0, height, rows):
        strip = slice(top, min(top + rows, height))
        shape = (3, strip.stop - strip.start, width)
        signal, spare = (buffer[: math.prod(shape)].reshape(shape) for buffer in buffers)
        for plane, level in zip(signal, cv2.split(image[strip])[::-1], strict=True):
            cv2.LUT(level, table, dst=plane)
        _mix_channels(steps.to_camera[0], signal, spare, choice.fold)
        _multiply(spare, steps.exposure[0])
        _add_noise(spare, signal, _rows_of(noise, strip, shape), steps)
        _multiply(spare, steps.balance[0])
        _mix_channels(steps.to_rgb[0], spare, signal, choice.fold)
        _take_root(signal, steps.root, choice.fold, 1.0 if choice.clip else None)
        signal *= 255.0
        cv2.merge(tuple(signal[::-1]), dst=dark[strip])
    return dark


def _rows_of(noise: ISPNoise | TableNoise, strip: slice, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Noise of the strip, ``(3, rows, W)``, the second ``(3, 1, 1)`` where it is one number a channel."""
    if isinstance(noise, TableNoise):
        return noise.strip(shape)
    shot_read, quantisation = noise.shot_read[0].numpy(), noise.quantisation[0].numpy()
    return shot_read[:, strip], quantisation if quantisation.shape[1:] == (1, 1) else quantisation[:, strip]


def _mix_channels(matrix: torch.Tensor, planes: np.ndarray, out: np.ndarray, fold: bool) -> None:
    """``(3, 3)`` on ``(3, rows, W)``; each product and each sum is rounded by itself unless folded."""
    if fold:
        torch.mm(matrix, torch.from_numpy(planes).flatten(1), out=torch.from_numpy(out).flatten(1))
        return
    red, green, blue = matrix.T.numpy()[:, :, None, None]
    np.multiply(red, planes[0], out=out)
    out += green * planes[1]
    out += blue * planes[2]


def _multiply(signal: np.ndarray, factors: torch.Tensor) -> None:
    """Multiply ``(3, rows, W)`` by each of ``(E, 3)``."""
    for factor in factors.numpy():
        signal *= factor[:, None, None]


def _add_noise(signal: np.ndarray, spare: np.ndarray, noise: tuple[np.ndarray, np.ndarray], steps: PixelSteps) -> None:
    """Shot, read and quantisation noise; ``spare`` is overwritten."""
    shot_read, quantisation = noise
    np.multiply(signal, steps.shot_noise.numpy(), out=spare)
    spare += steps.read_noise.numpy()
    torch.from_numpy(spare).clamp_(min=FLOOR).sqrt_()  # numpy's root differs in the last digit of one in 200
    spare *= shot_read
    signal += spare
    signal += quantisation * steps.quantisation.numpy()


def _take_root(signal: np.ndarray, root: torch.Tensor, fold: bool, highest: float | None) -> None:
    """Develop: clip, then the power of ``root``, ``(1,)``; the quick way, by logarithm, is right to 1e-6."""
    tensor = torch.from_numpy(signal).clamp_(FLOOR, highest)
    if fold:
        tensor.log2_().mul_(root).exp2_()
    else:
        tensor.pow_(root)
