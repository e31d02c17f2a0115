"""Photometric augmentation of PyramidBox and DSFD: brightness, contrast, saturation and hue, each with probability 0.5.

The functions reproduce Pillow's ``ImageEnhance``, with which the published detectors were trained, on 8-bit BGR arrays
and use lookup tables where possible. Images are uint8 ``(H, W, 3)`` BGR. Saturation and hue leave grey images,
``(H, W)`` or ``(H, W, 1)``, unchanged.
"""

from typing import NamedTuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS

_LEVELS = np.arange(256, dtype=np.float32)
# Pillow's grey, (19595 R + 38470 G + 7471 B + 0x8000) >> 16: every sum stays below 2 ** 24, exact in float32.
_GREY_BGR = np.array([[7471.0, 38470.0, 19595.0]], dtype=np.float32)


class ColorParameters(NamedTuple):
    """Sampled parameters of :class:`ColorDistortion`; a step is skipped if its value is None."""

    brightness: float | None = None
    contrast: float | None = None
    saturation: float | None = None
    hue: float | None = None
    contrast_last: bool = False


@TRANSFORMS.register_module()
class ColorDistortion(BaseTransform):
    """Random brightness, contrast, saturation and hue; contrast is the second or the last step with equal probability.

    Args:
        brightness: range of the factor.
        contrast: range of the factor.
        saturation: range of the factor.
        hue: range of the shift, on a circle of 256 steps.
        prob: probability of each of the four.

    Required keys: ``img`` (uint8). Modified keys: ``img``.
    """

    def __init__(
        self,
        brightness: tuple[float, float] = (0.875, 1.125),
        contrast: tuple[float, float] = (0.5, 1.5),
        saturation: tuple[float, float] = (0.5, 1.5),
        hue: tuple[float, float] = (-18.0, 18.0),
        prob: float = 0.5,
    ) -> None:
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        self.prob = prob

    @cache_randomness
    def _sample(self) -> ColorParameters:
        ranges = np.array([self.brightness, self.contrast, self.saturation, self.hue])
        chance, position = np.random.uniform(size=(2, len(ranges)))  # noqa: NPY002
        values = ranges[:, 0] + position * (ranges[:, 1] - ranges[:, 0])
        drawn = [float(value) if c < self.prob else None for value, c in zip(values, chance, strict=True)]
        return ColorParameters(*drawn, contrast_last=bool(np.random.uniform() < 0.5))  # noqa: NPY002

    def transform(self, results: dict) -> dict:
        """Distort ``results['img']``."""
        results['img'] = distort_color(results['img'], self._sample())
        return results

    def __repr__(self) -> str:
        """The class and its ranges."""
        return (
            f'{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, '
            f'saturation={self.saturation}, hue={self.hue}, prob={self.prob})'
        )


def distort_color(img: np.ndarray, parameters: ColorParameters) -> np.ndarray:
    """Apply the steps that have a value, in the published order; the input is not modified.

    Args:
        img: uint8 image, BGR or grey.
        parameters: values of the steps.

    Raises:
        TypeError: the image is not uint8.
    """
    if img.dtype != np.uint8:
        raise TypeError(
            f'ColorDistortion works on uint8 images, not {img.dtype}: put it before anything that makes floats'
        )
    steps = [(adjust_saturation, parameters.saturation), (shift_hue, parameters.hue)]
    steps.insert(2 if parameters.contrast_last else 0, (adjust_contrast, parameters.contrast))
    for function, value in [(adjust_brightness, parameters.brightness), *steps]:
        if value is not None:
            img = function(img, value)
    return img


def adjust_brightness(img: np.ndarray, factor: float) -> np.ndarray:
    """Multiply by ``factor``, as ``ImageEnhance.Brightness``."""
    return _blend_with_level(img, 0, factor)


def adjust_contrast(img: np.ndarray, factor: float) -> np.ndarray:
    """Scale the difference to the mean grey level of the image by ``factor``, as ``ImageEnhance.Contrast``."""
    return _blend_with_level(img, int(_grey(img).mean(dtype=np.float64) + 0.5), factor)


def adjust_saturation(img: np.ndarray, factor: float) -> np.ndarray:
    """Scale the difference of each pixel to its grey by ``factor``; within one level of ``ImageEnhance.Color``."""
    if _is_grey(img):
        return img
    grey = cv2.cvtColor(_grey(img), cv2.COLOR_GRAY2BGR)
    # Pillow truncates and OpenCV rounds, so subtract half a level, slightly less so that integers are unchanged.
    return cv2.addWeighted(img, factor, grey, 1 - factor, -0.499)


def shift_hue(img: np.ndarray, shift: float) -> np.ndarray:
    """Shift the hue by ``shift`` steps on a circle of 256, rounded down to whole steps like the 8-bit original."""
    if _is_grey(img):
        return img
    hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV_FULL)
    hsv[..., 0] += np.uint8(int(np.floor(shift)) % 256)  # uint8 wraps around
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL)


def _blend_with_level(img: np.ndarray, level: int, factor: float) -> np.ndarray:
    """``level + factor * (img - level)``, clipped and truncated, by lookup table."""
    table = np.float32(level) + np.float32(factor) * (_LEVELS - np.float32(level))
    return cv2.LUT(img, np.clip(table, 0, 255).astype(np.uint8)).reshape(img.shape)


def _grey(img: np.ndarray) -> np.ndarray:
    """Pillow's 8-bit grey, shape ``(H, W)``."""
    if _is_grey(img):
        return img.reshape(img.shape[:2])
    return ((cv2.transform(img.astype(np.float32), _GREY_BGR) + 32768.0) * (1 / 65536)).astype(np.uint8)


def _is_grey(img: np.ndarray) -> bool:
    return img.ndim == 2 or img.shape[2] == 1
