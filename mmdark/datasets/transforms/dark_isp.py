"""DarkISP as a data transform: darkens an image and can keep the light image for training pairs."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

from mmdark.dark_isp import PRESETS, ISPNoise, ISPParameters, darken, sample_noise, sample_parameters
from mmdark.datasets.transforms.dark_bytes import darken_bytes
from mmdark.datasets.transforms.table_noise import TableNoise
from mmdark.drawing import tensor_of
from mmdark.errors import InputError

_BLACK, _WHITE = 3.0, 1000.0
"""Bounds of the maximum of a float image on the 0-255 scale, unless it is black. The maximum is below the first if the
image is in [0, 1] or normalised, and above the second if it has 16 bits."""


@TRANSFORMS.register_module()
class DarkISP(BaseTransform):
    """Darken ``img`` with random parameters; see :mod:`mmdark.dark_isp`.

    Required keys: ``img`` (``(H, W, 3)`` BGR, 0-255, uint8 or float) and, with a seed, ``img_path``. The dark image is
    float32 on the same scale. It is not rounded, and only the ``corrected`` preset clips it. If :class:`PackDarkPair`
    is used, transforms that flip, resize or crop must come before DarkISP; later ones raise an error.

    Args:
        preset: ``corrected``, or ``dainet`` or ``maet`` as published.
        seed: None draws new parameters each time, from numpy's generator, which the Runner seeds. With a number, the
            darkness depends only on the number and the file name, for reproducible validation and testing.
        keep_light: also store the light image as ``light_img`` and the dark image as ``dark_img``, for
            :class:`PackDarkPair`; other packing transforms use ``img``, the dark image.
        prob: probability of darkening an image; the other images stay light, so that the detector still works in
            daylight.

    Raises:
        ValueError: the preset is unknown; ``prob`` is not in [0, 1], or is below 1 with a seed.
        InputError: raised by ``transform`` if the image has the wrong type or range, or is already dark.
    """

    def __init__(
        self, preset: str = 'corrected', seed: int | None = None, keep_light: bool = True, prob: float = 1.0
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(f'unknown DarkISP preset {preset!r}; choose one of {", ".join(PRESETS)}')
        if not 0 <= prob <= 1 or (prob < 1 and seed is not None):
            raise ValueError(f'prob={prob} with seed={seed}: give 0 to 1, and 1 with a seed')
        self.preset = preset
        self.seed = seed
        self.keep_light = keep_light
        self.prob = prob
        self._saw_more_than_black = False

    def sample(self, results: dict) -> tuple[ISPParameters, ISPNoise | TableNoise]:
        """The parameters and the noise for one image; :class:`TableNoise` for 8-bit images in training."""
        if self.seed is None:
            seed = np.random.randint(2**31)  # noqa: NPY002
        else:
            seed = zlib.crc32(f'{self.seed}:{Path(results["img_path"]).name}'.encode())
        generator = torch.Generator().manual_seed(int(seed))
        parameters = sample_parameters(1, self.preset, generator)
        if self.seed is None and results['img'].dtype == np.uint8:
            return parameters, TableNoise(seed, PRESETS[self.preset].quantise_pixels)
        height, width = results['img'].shape[:2]
        return parameters, sample_noise((1, 3, height, width), self.preset, generator)

    def apply(self, image: np.ndarray, parameters: ISPParameters, noise: ISPNoise | TableNoise) -> np.ndarray:
        """Darken an ``(H, W, 3)`` BGR image on the 0-255 scale."""
        if image.dtype == np.uint8:
            return darken_bytes(image, parameters, noise, self.preset)
        dark = darken(tensor_of(image)[None].clamp(0.0, 1.0), parameters, noise, self.preset)[0] * 255.0
        return np.ascontiguousarray(dark.permute(1, 2, 0).numpy()[..., ::-1])

    def transform(self, results: dict) -> dict:
        """Replace ``img``."""
        self._check(results)
        light = results['img']
        if self.prob < 1 and np.random.random() >= self.prob:  # noqa: NPY002
            dark = light.astype(np.float32)
        else:
            dark = self.apply(light, *self.sample(results))
        results.update(img=dark, is_dark=True)
        if self.keep_light:
            results.update(light_img=light, dark_img=dark)
        return results

    def _check(self, results: dict) -> None:
        """Raise an InputError if the image cannot be darkened.

        An almost black float image does not show its scale, so it is only accepted after a brighter image. An all-zero
        image is always accepted.
        """
        image, place = results.get('img'), results.get('img_path') or 'an image'
        if not isinstance(image, np.ndarray):
            raise InputError(f'{place}: DarkISP finds no image; put it after what loads one and before what packs it')
        if results.get('is_dark'):
            raise InputError(f'{place}: two DarkISP in one pipeline would darken it twice; keep one')
        if 'img_norm_cfg' in results:
            raise InputError(f'{place}: DarkISP comes after Normalize; put it before, where pixels are 0 to 255')
        if image.ndim != 3 or image.shape[2] != 3 or (image.dtype != np.uint8 and image.dtype.kind != 'f'):
            raise InputError(
                f'{place}: DarkISP needs (H, W, 3) uint8 or float, not {image.shape} {image.dtype}; load with LoadPhoto'
            )
        if image.dtype != np.uint8:
            low, high = float(image.min()), float(image.max())
            self._saw_more_than_black |= high > _BLACK
            in_range = low >= -_WHITE and high <= _WHITE  # false for NaN
            if not in_range or not (self._saw_more_than_black or low == high == 0):
                raise InputError(
                    f'{place}: DarkISP needs pixels from 0 to 255, not from {low:.4g} to {high:.4g}; '
                    'put it before what scales or normalises them'
                )
        if self.seed is not None and not results.get('img_path'):
            raise InputError(
                f'DarkISP(seed={self.seed}) draws the darkness from the file name, and the image has no img_path; '
                'leave out the seed'
            )

    def __repr__(self) -> str:
        """The arguments."""
        return (
            f'{type(self).__name__}(preset={self.preset!r}, seed={self.seed}, keep_light={self.keep_light}, '
            f'prob={self.prob})'
        )
