"""Retinex teachers side by side: what each makes of the same images, light and darkened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from mmdark.adaptation import Decomposition, RetinexNet
from mmdark.adaptation.losses import illumination_smoothness
from mmdark.datasets import DarkISP, LoadPhoto
from mmdark.datasets.face_formats import is_image
from mmdark.errors import InputError
from mmdark.models.published_weights import load_published

MEASURES = {
    'reconstruction_light': r'reconstruction error, mean \|R·I - S\|, light',
    'reconstruction_dark': r'reconstruction error, mean \|R·I - S\|, dark',
    'gradient_light': r'smoothness of I, mean \|∇I\|, light',
    'gradient_dark': r'smoothness of I, mean \|∇I\|, dark',
    'smoothness_light': 'smoothness of I but for the edges of R, as published, light',
    'smoothness_dark': 'smoothness of I but for the edges of R, as published, dark',
    'consistency': r'consistency of R, mean \|R light - R dark\|',
    'illumination_light': 'mean of I, light',
    'illumination_dark': 'mean of I, dark',
}
"""Key of :func:`measure` → its row in the table. S: image, R: reflectance, I: illumination, all in [0, 1]."""


class Pair(NamedTuple):
    """One image by day and in the dark.

    Attributes:
        name: of its file.
        light: RGB in [0, 1], ``(1, 3, H, W)``.
        dark: the same, darkened.
    """

    name: str
    light: Tensor
    dark: Tensor


def load_teacher(checkpoint: str) -> RetinexNet:
    """A teacher from a published file, from a checkpoint of ``RetinexTraining``, or from what comes with mmdark.

    Raises:
        InputError: the file is missing or does not hold one.
    """
    teacher = RetinexNet()
    load_published(teacher, checkpoint)
    return teacher


def choose_images(folder: str | Path, number: int) -> list[Path]:
    """Images of a folder and of the folders in it, evenly spread over their sorted paths; all where there are fewer.

    Raises:
        InputError: there is none, or none is asked for.
    """
    if number < 1:
        raise InputError(f'--number {number}: at least one image is needed')
    if not Path(folder).is_dir():
        raise InputError(f'--images {folder} is no folder: name one with images')
    images = sorted(path for path in Path(folder).rglob('*') if is_image(path))
    if not images:
        raise InputError(f'--images {folder} holds no image: name a folder with images')
    count = min(number, len(images))
    return [images[place * len(images) // count] for place in range(count)]


def read_pairs(paths: Iterable[Path], seed: int = 0, long_side: int = 320) -> Iterator[Pair]:
    """Yield images, shrunk where they are larger, each with the dark version that follows from seed and file name.

    Args:
        paths: of the images.
        seed: of DarkISP (``corrected``).
        long_side: of an image at most, in pixels.

    Raises:
        InputError: an image cannot be read.
    """
    load, darkness = LoadPhoto(), DarkISP(preset='corrected', seed=seed)
    for path in paths:
        results = load({'img_path': str(path)})
        scale = long_side / max(results['img'].shape)
        if scale < 1:
            results['img'] = cv2.resize(results['img'], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        results = darkness(results)
        yield Pair(path.name, _tensor(results['light_img']), _tensor(results['dark_img']))


def _tensor(image: np.ndarray) -> Tensor:
    """``(H, W, 3)`` BGR, 0 to 255 → ``(1, 3, H, W)`` RGB in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1)[None].float() / 255.0


def measure(pair: Pair, of_light: Decomposition, of_dark: Decomposition) -> dict[str, float]:
    """The :data:`MEASURES` of one pair.

    ``gradient`` is the sum of the mean absolute differences of neighbours along x and along y. ``smoothness`` is the
    loss that teachers are trained with: the same, times exp(-10 · the reflectance's own), and the border of the image
    counts as an edge to black; see :func:`mmdark.adaptation.losses.illumination_smoothness`.
    """
    values = {'consistency': (of_light.reflectance - of_dark.reflectance).abs().mean()}
    for kind, image, (reflectance, illumination) in (('light', pair.light, of_light), ('dark', pair.dark, of_dark)):
        values[f'reconstruction_{kind}'] = (reflectance * illumination - image).abs().mean()
        values[f'gradient_{kind}'] = sum(illumination.diff(dim=axis).abs().mean() for axis in (2, 3))
        values[f'smoothness_{kind}'] = illumination_smoothness(illumination, reflectance)
        values[f'illumination_{kind}'] = illumination.mean()
    return {key: float(values[key]) for key in MEASURES}


def markdown_table(measured: Mapping[str, list[dict[str, float]]], title: str) -> str:
    """A row for each measure, a column for each teacher: mean and standard error over the images.

    Args:
        measured: teacher → :func:`measure` of each image.
        title: of the first column.
    """
    rows = [[title, *measured], ['---', *('---:' for _ in measured)]]
    for key, label in MEASURES.items():
        values = [np.array([of_image[key] for of_image in images]) for images in measured.values()]
        rows.append([label, *map(_mean_and_error, values)])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows) + '\n'


def _mean_and_error(values: np.ndarray) -> str:
    error = f' ± {values.std(ddof=1) / len(values) ** 0.5:.4f}' if len(values) > 1 else ''
    return f'{values.mean():.4f}{error}'
