"""DarkISP in the data pipeline: the dark partner of an image, or the image itself darkened."""

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


@TRANSFORMS.register_module()
class DarkISP(BaseTransform):
    """Darken ``img`` with random parameters; see :mod:`mmdark.dark_isp`.

    Required keys: ``img`` (``(H, W, 3)`` BGR, 0-255) and, with a seed, ``img_path``. The dark image is float32 on the
    same scale, neither rounded nor, but for the ``corrected`` preset, clipped.

    Args:
        preset: ``corrected``, or ``dainet`` or ``maet`` as published.
        seed: None draws anew each time, from numpy's generator, which the Runner seeds. A number makes the darkness a
            function of the number and of the file name, the same for everyone: for validation and testing.
        keep_light: True adds ``dark_img`` and leaves ``img``, for training pairs; False replaces ``img``.
        prob: chance that an image is darkened; otherwise it is its own dark image, so that a detector does not forget
            the day.

    Raises:
        ValueError: the preset is unknown; ``prob`` is no chance, or below 1 with a seed.
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

    def sample(self, results: dict) -> tuple[ISPParameters, ISPNoise | TableNoise]:
        """The parameters and the noise for one image; that of 8-bit images in training is drawn the quick way."""
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
        """Darken an ``(H, W, 3)`` BGR image on the 0-255 scale; 8-bit ones the quick way."""
        if image.dtype == np.uint8:
            return darken_bytes(image, parameters, noise, self.preset)
        rgb = torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1)[None].float() / 255.0
        dark = darken(rgb.clamp(0.0, 1.0), parameters, noise, self.preset)[0] * 255.0
        return np.ascontiguousarray(dark.permute(1, 2, 0).numpy()[..., ::-1])

    def transform(self, results: dict) -> dict:
        """Add ``dark_img``, or replace ``img``."""
        if self.prob < 1 and np.random.random() >= self.prob:  # noqa: NPY002
            dark = results['img'].astype(np.float32)
        else:
            dark = self.apply(results['img'], *self.sample(results))
        results['dark_img' if self.keep_light else 'img'] = dark
        return results

    def __repr__(self) -> str:
        """The arguments."""
        return (
            f'{type(self).__name__}(preset={self.preset!r}, seed={self.seed}, keep_light={self.keep_light}, '
            f'prob={self.prob})'
        )
