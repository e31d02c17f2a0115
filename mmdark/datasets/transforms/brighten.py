"""Classical brightening before detection, the baseline for dark photographs."""

from __future__ import annotations

import math

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

METHODS = ('gamma', 'clahe')
MID_GREY = 0.5


@TRANSFORMS.register_module()
class Brighten(BaseTransform):
    """Brighten a photograph without learning.

    - ``gamma``: the power that maps the mean grey level to mid-grey; an image is never darkened.
    - ``clahe``: contrast-limited adaptive histogram equalisation (Zuiderveld, 1994) of the lightness in CIELAB.

    Both methods work on 8-bit images, like those of cameras; float images are rounded first.

    Required keys: ``img`` (``(H, W, 3)`` BGR, 0-255). Modified keys: ``img`` (uint8).

    Args:
        method: ``gamma`` or ``clahe``.
        clip_limit: OpenCV's clip limit for CLAHE.
        tiles: number of CLAHE tiles in each direction.

    Raises:
        ValueError: there is no such method.

    Example:
        >>> dark = np.full((4, 4, 3), 64, np.uint8)
        >>> Brighten('gamma').transform(dict(img=dark))['img'].mean().item()
        128.0
    """

    def __init__(self, method: str, clip_limit: float = 3.0, tiles: int = 8) -> None:
        if method not in METHODS:
            raise ValueError(f'unknown method {method!r}; choose one of {", ".join(METHODS)}')
        self.method = method
        self.clip_limit = clip_limit
        self.tiles = tiles

    def transform(self, results: dict) -> dict:
        """Replace ``img``."""
        image = results['img']
        if image.dtype != np.uint8:
            image = np.rint(image.clip(0, 255)).astype(np.uint8)
        results['img'] = with_gamma(image) if self.method == 'gamma' else self._equalised(image)
        return results

    def _equalised(self, image: np.ndarray) -> np.ndarray:
        lightness, *colours = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2LAB))
        equalised = cv2.createCLAHE(self.clip_limit, (self.tiles, self.tiles)).apply(lightness)
        return cv2.cvtColor(cv2.merge([equalised, *colours]), cv2.COLOR_LAB2BGR)

    def __repr__(self) -> str:
        """The arguments."""
        return f'{type(self).__name__}(method={self.method!r}, clip_limit={self.clip_limit}, tiles={self.tiles})'


def with_gamma(image: np.ndarray) -> np.ndarray:
    """Raise ``(H, W, 3)`` uint8 BGR to the power that takes the mean grey level to the middle, if that brightens."""
    mean = min(max(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean() / 255, 1 / 255), MID_GREY)
    exponent = math.log(MID_GREY) / math.log(mean)
    return cv2.LUT(image, np.rint((np.arange(256) / 255) ** exponent * 255).astype(np.uint8))
