"""DarkISP for 8-bit images: the linear signal is looked up in a table, the rest is computed in cache-sized strips."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from mmdark.dark_isp import FLOOR, ISPNoise, ISPParameters, PixelSteps, find_preset, linear_signal, pixel_steps
from mmdark.datasets.transforms.table_noise import TableNoise

_STRIP = 32768
"""Pixels of a strip, so that five arrays of three floats per pixel fit into a cache of 2 MB."""

_ROWS = 32
"""Strips have a multiple of this many rows, because torch rounds the last powers (up to 31) of an array differently."""


def darken_bytes(
    image: np.ndarray, parameters: ISPParameters, noise: ISPNoise | TableNoise, preset: str = 'corrected'
) -> np.ndarray:
    """:func:`mmdark.dark_isp.darken` for one 8-bit image.

    The result is identical if the preset follows the published code step by step. If steps are folded, it is equal
    within float32 rounding of the linear signal.

    Args:
        image: uint8 ``(H, W, 3)`` BGR.
        parameters: parameters of one image.
        noise: noise of shape ``(1, 3, H, W)``, RGB, or a source that is drawn strip by strip.
        preset: a name in ``mmdark.dark_isp.PRESETS``.

    Returns:
        float32 ``(H, W, 3)`` BGR on the 0-255 scale.

    Raises:
        ValueError: the preset is unknown.
    """
    choice, steps = find_preset(preset), pixel_steps(parameters, preset)
    table = linear_signal(torch.arange(256) / 255.0, steps.gamma).numpy()
    numbers = PixelSteps(*(field[0].numpy() for field in steps))
    height, width = image.shape[:2]
    rows = min(height, _ROWS * max(1, _STRIP // (_ROWS * width)))
    signal, spare, product = np.empty((3, 3, rows, width), dtype=np.float32)
    levels = np.empty((3, rows, width), dtype=np.uint8)
    dark = np.empty(image.shape, dtype=np.float32)
    for top in range(0, height, rows):
        strip = slice(top, min(top + rows, height))
        if strip.stop - top < rows:
            signal, spare, product, levels = (
                array.reshape(-1)[: 3 * (strip.stop - top) * width].reshape(3, -1, width)
                for array in (signal, spare, product, levels)
            )
        for plane, level in zip(signal[::-1], cv2.split(image[strip], tuple(levels)), strict=True):
            cv2.LUT(level, table, dst=plane)
        _mix_channels(numbers.to_camera, signal, spare, None if choice.fold else product)
        _multiply(spare, numbers.exposure)
        _add_noise(spare, signal, _rows_of(noise, strip, spare.shape), numbers)
        _multiply(spare, numbers.balance)
        _mix_channels(numbers.to_rgb, spare, signal, None if choice.fold else product)
        _take_root(torch.from_numpy(signal), steps.root, choice.fold, 1.0 if choice.clip else None)
        signal *= 255.0
        cv2.merge(tuple(signal[::-1]), dst=dark[strip])
    return dark


def _rows_of(noise: ISPNoise | TableNoise, strip: slice, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Noise of the strip, ``(3, rows, W)``, the second ``(3, 1, 1)`` if it has one number per channel."""
    if isinstance(noise, TableNoise):
        return noise.strip(shape)
    shot_read, quantisation = noise.shot_read[0].numpy(), noise.quantisation[0].numpy()
    return shot_read[:, strip], quantisation if quantisation.shape[1:] == (1, 1) else quantisation[:, strip]


def _mix_channels(matrix: np.ndarray, planes: np.ndarray, out: np.ndarray, product: np.ndarray | None) -> None:
    """``(3, 3)`` on ``(3, rows, W)``; with an array for products, products and sums are rounded separately."""
    if product is None:
        flat, result = (torch.from_numpy(array).flatten(1) for array in (planes, out))
        torch.mm(torch.from_numpy(matrix), flat, out=result)  # numpy's product would start threads
        return
    red, green, blue = matrix.T[:, :, None, None]
    np.multiply(red, planes[0], out=out)
    for column, plane in ((green, planes[1]), (blue, planes[2])):
        np.multiply(column, plane, out=product)
        out += product


def _multiply(signal: np.ndarray, factors: np.ndarray) -> None:
    """Multiply ``(3, rows, W)`` by each of ``(E, 3)``."""
    for factor in factors:
        for plane, number in zip(signal, factor, strict=True):
            if number != 1:
                plane *= number


def _add_noise(
    signal: np.ndarray, spare: np.ndarray, noise: tuple[np.ndarray, np.ndarray], numbers: PixelSteps
) -> None:
    """Shot, read and quantisation noise; ``spare`` is overwritten."""
    shot_read, quantisation = noise
    np.multiply(signal, numbers.shot_noise, out=spare)
    spare += numbers.read_noise
    torch.from_numpy(spare).clamp_(min=FLOOR).sqrt_()  # numpy's root differs in the last digit of 1 in 200 values
    spare *= shot_read
    signal += spare
    signal += quantisation * numbers.quantisation


def _take_root(signal: torch.Tensor, root: torch.Tensor, fold: bool, highest: float | None) -> None:
    """Clip, then raise to the power ``root``, ``(1,)``; the fast version by logarithm is accurate to 1e-6."""
    signal.clamp_(FLOOR, highest)
    if fold:
        signal.log2_().mul_(root).exp2_()
    else:
        signal.pow_(root)
