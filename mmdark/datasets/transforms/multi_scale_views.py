"""The views of multi-scale testing: an image is shrunk, enlarged and flipped, with scales that depend on its size."""

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
"""Maximum number of pixels of a view; the published script inherits both limits from Caffe test code."""


class View(NamedTuple):
    """One pass through the detector.

    Attributes:
        scale: scale factor of both sides of the image.
        flip: whether the image is flipped horizontally before it is scaled.
        group: 0 to 4, the published group: unscaled, flipped, shrunk, enlarged, pyramid.
        keep: which detections of the view are used, ``'all'``, ``'large'`` or ``'small'``.
    """

    scale: float
    flip: bool
    group: int
    keep: str


def max_shrink(height: int, width: int) -> float:
    """The largest scale for an image of ``height`` by ``width`` pixels: 3, or less if the view would be too large.

    Example:
        >>> round(max_shrink(1500, 2000), 3)
        1.892
    """
    return min(MAX_SHRINK, math.sqrt(CAFFE_LIMIT / (height * width)))


def published_views(height: int, width: int) -> list[View]:
    """The published views for an image of this size, in the order of the published script (DAI-Net, ``test.py``).

    The loop of the script that starts at scale 4 and doubles it never runs, because the largest scale is 3.

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
        enlarging = [(shrunk + largest) / 2]  # a shrunk view, so it keeps large faces
    return [
        View(1.0, False, 0, 'all'),
        View(1.0, True, 1, 'all'),
        *(View(scale, False, 2, 'large') for scale in shrinking),
        *(View(scale, False, 3, 'small' if largest > 1 else 'large') for scale in enlarging),
        View(0.25, False, 4, 'large'),
        *(View(scale, False, 4, 'small') for scale in (1.25, 1.75, 2.25) if scale <= largest),
    ]


def light_views(height: int, width: int) -> list[View]:
    """Three of the published views at a fifth of their cost: unscaled, flipped and, if ``max_shrink`` > 1, enlarged.

    The flipped view is the cheapest second view for faces of every size. Enlarging by 2 brings faces of 8 pixels to the
    smallest anchor, 16. The shrunk views, for faces above the largest anchor (512 pixels), and the other enlarged views
    are omitted: scale 3 costs as much as nine unscaled views.
    """
    largest = max_shrink(height, width)
    views = [View(1.0, False, 0, 'all'), View(1.0, True, 1, 'all')]
    return [*views, View(min(2.0, largest), False, 3, 'small')] if largest > 1 else views


def two_scales(height: int, width: int) -> list[View]:
    """Two views: scale 0.5 for large faces, and a scale of up to 1.5 for small faces.

    The views have 2.5 times the pixels of the image. Images above 1.1 million pixels are enlarged less, and those
    above 2.5 million pixels are not enlarged.
    """
    enlarged = max(1.0, min(1.5, math.sqrt(2.5e6 / (height * width))))
    return [View(0.5, False, 2, 'large'), View(enlarged, False, 3, 'small')]


PRESETS = {'published': published_views, 'light': light_views, 'two-scales': two_scales}


def scaled(image: np.ndarray, scale: float) -> np.ndarray:
    """Scale an ``(H, W, 3)`` image, uint8 or float32, bilinearly as published; each side has at least one pixel.

    OpenCV is given the scale instead of the size, so the sampling positions do not depend on how the size is rounded.
    """
    if scale == 1:
        return image
    height, width = (round(side * scale) for side in image.shape[:2])
    if min(height, width) < 1:
        return cv2.resize(image, (max(width, 1), max(height, 1)), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)


@TRANSFORMS.register_module()
class MultiScaleViews(BaseTransform):
    """Make views of an image for :class:`MultiScaleTTA`, like mmcv's ``TestTimeAug`` but with scales by image size.

    Required keys: ``img`` (``(H, W, 3)``, uint8 or float32). Each view has keys ``img``, ``img_shape``,
    ``scale_factor`` (width, height; multiplied by an existing one), ``flip``, ``flip_direction`` and ``keep``. The
    packing transform must add ``keep`` to the metainfo: ``meta_keys=(..., 'keep')``. Annotations are not scaled: they
    stay in pixels of the input image, for evaluation.

    All views of an image are in memory at the same time. With the published preset they have about 28 times its pixels:
    65 MB for 720 x 1080 in uint8, four times as much in float32.

    Args:
        transforms: rest of the pipeline, applied to each view.
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
        """For each key of the transformed results, return a list with one value per view."""
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
