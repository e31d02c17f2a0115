"""The views of multi-scale testing: one image shrunk, enlarged and flipped, by factors that depend on its size."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmdet.registry import TRANSFORMS

MAX_SHRINK = 3.0
CAFFE_LIMIT = 0x7FFFFFFF / 200.0
"""Pixels of the largest view; the published script took both numbers over from tests under Caffe."""


class View(NamedTuple):
    """One pass through the detector.

    Attributes:
        scale: of both sides of the image.
        flip: whether the image is mirrored, left to right, before it is scaled.
        group: 0 to 4, the published group: unscaled, flipped, shrunk, enlarged, pyramid.
        keep: which faces the view contributes, ``'all'``, ``'large'`` or ``'small'``.
    """

    scale: float
    flip: bool
    group: int
    keep: str


def max_shrink(height: int, width: int) -> float:
    """The largest scale for an image of ``height`` by ``width`` pixels: 3, or less where the view would be too big.

    Example:
        >>> round(max_shrink(1500, 2000), 3)
        1.892
    """
    return min(MAX_SHRINK, math.sqrt(CAFFE_LIMIT / (height * width)))


def published_views(height: int, width: int) -> list[View]:
    """The published views for an image of this size, in the order of the published script (DAI-Net, ``test.py``).

    Its loop that doubles the scale from 4 on never runs, because the largest scale is 3.

    Example:
        >>> [view.scale for view in published_views(720, 1080)]
        [1.0, 1.0, 0.5, 0.75, 2.0, 1.5, 3.0, 0.25, 1.25, 1.75, 2.25]
    """
    largest = max_shrink(height, width)
    shrunk = 0.5 if largest >= 0.75 else 0.5 * largest
    shrinking = [shrunk, *([0.75] if largest > 0.75 else [])]
    if largest > 1:
        enlarging = [min(2.0, largest), *([1.5] if largest > 1.5 else []), *([largest] if largest > 2 else [])]
    else:
        enlarging = [(shrunk + largest) / 2]  # still shrinks, and is filtered so
    return [
        View(1.0, False, 0, 'all'),
        View(1.0, True, 1, 'all'),
        *(View(scale, False, 2, 'large') for scale in shrinking),
        *(View(scale, False, 3, 'small' if largest > 1 else 'large') for scale in enlarging),
        View(0.25, False, 4, 'large'),
        *(View(scale, False, 4, 'small') for scale in (1.25, 1.75, 2.25) if scale <= largest),
    ]


def light_views(height: int, width: int) -> list[View]:
    """Three of the published views at a fifth of their cost: unscaled, flipped and, if the image allows it, enlarged.

    The flipped view is the cheapest second opinion on faces of every size. Enlarging by two brings faces of eight
    pixels to the smallest anchor, 16. Left out are the shrunk views, for faces above the largest anchor (512 pixels),
    and other enlarged ones: the scale of three costs as much as nine unscaled views.
    """
    largest = max_shrink(height, width)
    views = [View(1.0, False, 0, 'all'), View(1.0, True, 1, 'all')]
    return [*views, View(min(2.0, largest), False, 3, 'small')] if largest > 1 else views


def two_scales(height: int, width: int) -> list[View]:
    """Half the size, which brings large faces down, and up to 1.5 times the size, which brings small ones up.

    The views have 2.5 times the pixels of the image. An image of more than 1.1 million pixels is enlarged by less, one
    of more than 2.5 million not at all.
    """
    enlarged = max(1.0, min(1.5, math.sqrt(2.5e6 / (height * width))))
    return [View(0.5, False, 2, 'large'), View(enlarged, False, 3, 'small')]


PRESETS = {'published': published_views, 'light': light_views, 'two-scales': two_scales}


def scaled(image: np.ndarray, scale: float) -> np.ndarray:
    """Scale an ``(H, W, 3)`` image, uint8 or float32, bilinearly as published; a side has at least one pixel.

    OpenCV gets the scale, not the size, so it samples at multiples of ``1 / scale`` however the size is rounded.
    """
    if scale == 1:
        return image
    height, width = (round(side * scale) for side in image.shape[:2])
    if min(height, width) < 1:
        return cv2.resize(image, (max(width, 1), max(height, 1)), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)


@TRANSFORMS.register_module()
class MultiScaleViews(BaseTransform):
    """Make views of an image for :class:`MultiScaleTTA`, like mmcv's ``TestTimeAug`` but by the image's size.

    Required keys: ``img`` (``(H, W, 3)``, uint8 or float32). Each view has keys ``img``, ``img_shape``,
    ``scale_factor`` (width, height; multiplied with an earlier one), ``flip``, ``flip_direction`` and ``keep``, which
    the packing step must put into the metainfo: ``meta_keys=(..., 'keep')``. Annotations are not scaled: for evaluation
    they stay in pixels of the image as loaded.

    All views of an image are in memory at once, about 28 times its pixels in the published preset: 65 MB for 720 x 1080
    in uint8, four times as much in float32.

    Args:
        transforms: the rest of the pipeline, run for each view.
        preset: ``'published'`` or ``'light'``, see :func:`published_views` and :func:`light_views`.

    Raises:
        ValueError: the preset is unknown.
    """

    def __init__(self, transforms: Sequence[dict], preset: str = 'published') -> None:
        if preset not in PRESETS:
            raise ValueError(f'unknown preset of views {preset!r}; choose one of {", ".join(PRESETS)}')
        self.preset = preset
        self.transforms = Compose(list(transforms))

    def transform(self, results: dict) -> dict:
        """A list of values for each key that ``transforms`` leave, one entry per view."""
        views = PRESETS[self.preset](*results['img'].shape[:2])
        packed = [self.transforms(self._view_of(results, view)) for view in views]
        return {key: [each[key] for each in packed] for key in packed[0]}

    @staticmethod
    def _view_of(results: dict, view: View) -> dict:
        image = results['img']
        height, width = image.shape[:2]
        img = scaled(cv2.flip(image, 1) if view.flip else image, view.scale)
        earlier = results.get('scale_factor', (1.0, 1.0))
        return {
            **copy.deepcopy({key: value for key, value in results.items() if key != 'img'}),
            'img': img,
            'img_shape': img.shape[:2],
            'scale_factor': (earlier[0] * img.shape[1] / width, earlier[1] * img.shape[0] / height),
            'flip': view.flip,
            'flip_direction': 'horizontal' if view.flip else None,
            'keep': view.keep,
        }

    def __repr__(self) -> str:
        """The arguments."""
        return f'{type(self).__name__}(preset={self.preset!r}, transforms={self.transforms})'
