"""Compare Retinex teachers on real images: ``compare_teachers.py TEACHER... --images FOLDER``.

TEACHER is a published file (``decomp.pth``, RetinexNet's ``.tar``), a checkpoint of ``configs/retinex/``, or
``mmdark://retinexnet_wider.pth``, which comes with mmdark and is the default. Each image is decomposed as it is and
darkened (DarkISP, ``corrected``; the darkness follows from seed and file name). A Markdown table of means and standard
errors is printed. On a CPU 100 images take some minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from mmdark.adaptation import Decomposition, RetinexNet
from mmdark.adaptation.losses import illumination_smoothness
from mmdark.datasets import DarkISP, LoadPhoto
from mmdark.datasets.image_files import is_image
from mmdark.drawing import tensor_of
from mmdark.errors import InputError
from mmdark.models.published_weights import load_published
from mmdark.whole_file import write_whole, writing_whole

OURS = 'mmdark://retinexnet_wider.pth'
PICTURES = 4
INCHES = 2.2
"""Width of one image in a picture."""
DOTS_PER_INCH = 100
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
        yield Pair(path.name, tensor_of(results['light_img'])[None], tensor_of(results['dark_img'])[None])


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


def draw_teachers(path: str | Path, pair: Pair, teachers: Mapping[str, tuple[Decomposition, Decomposition]]) -> None:
    """Draw the image beside reflectance and illumination of each teacher; above light, below dark.

    Args:
        path: of the picture; its folder is made.
        pair: the image.
        teachers: name → its decompositions of the light and of the dark image.

    Raises:
        InputError: the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = [('image S', pair.light, pair.dark)]
    for name, (of_light, of_dark) in teachers.items():
        columns.append((f'{name}\nreflectance R', of_light.reflectance, of_dark.reflectance))
        columns.append((f'{name}\nillumination I', of_light.illumination, of_dark.illumination))
    height, width = pair.light.shape[2:]
    size = (INCHES * len(columns) + 0.4, 2 * INCHES * height / width + 0.6)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout='constrained')
    FigureCanvasAgg(figure)
    for axes, (title, *images) in zip(figure.subplots(2, len(columns), squeeze=False).T, columns, strict=True):
        axes[0].set_title(title, fontsize=8)
        for place, image in zip(axes, images, strict=True):
            place.imshow(_pixels(image), cmap='gray', vmin=0, vmax=1)
            place.set(xticks=[], yticks=[])
            place.spines[:].set_visible(False)
    for place, label in zip(figure.axes[:: len(columns)], ('light', 'dark'), strict=True):
        place.set_ylabel(label, fontsize=9)
    with writing_whole(path) as part:
        figure.savefig(part, format=Path(path).suffix[1:])


def _pixels(image: Tensor) -> np.ndarray:
    """``(1, 3, H, W)`` or ``(1, 1, H, W)`` → ``(H, W, 3)`` or ``(H, W)``, clipped to [0, 1]."""
    return image[0].permute(1, 2, 0).squeeze(-1).clamp(0.0, 1.0).cpu().numpy()


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Compare Retinex teachers on the same images, light and darkened.')
    parser.add_argument('teachers', nargs='*', default=[OURS], metavar='TEACHER', help='weight file (%(default)s)')
    parser.add_argument('--images', required=True, metavar='FOLDER', help='images, also in folders below')
    parser.add_argument('--number', type=int, default=100, help='of images, evenly spread over them (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the darkness (%(default)s)')
    parser.add_argument('--long-side', type=int, default=320, help='larger images are shrunk to this (%(default)s)')
    parser.add_argument('--out', metavar='FILE', help='write the table, too')
    parser.add_argument('--pictures', metavar='DIR', help=f'draw up to {PICTURES} of the images into this folder')
    return parser.parse_args()


def load_teachers(names: list[str]) -> dict[str, RetinexNet]:
    """Teachers under the names of their files; under their whole paths where two files have the same name.

    Raises:
        InputError: a file does not hold a teacher.
    """
    short = [Path(name).name for name in names]
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    shown = short if len(set(short)) == len(names) else names
    return {title: load_teacher(name).to(device) for title, name in zip(shown, names, strict=True)}


def main() -> None:
    """Read, decompose, measure, report."""
    args = parse_args()
    if args.long_side < 16:
        raise InputError(f'--long-side {args.long_side}: at least 16 pixels are needed')
    paths = choose_images(args.images, args.number)
    teachers = load_teachers(args.teachers)
    device = next(iter(teachers.values())).entry.weight.device
    drawn = {paths[place * len(paths) // PICTURES] for place in range(PICTURES)} if args.pictures else set()
    measured = {title: [] for title in teachers}
    pairs = zip(paths, read_pairs(paths, args.seed, args.long_side), strict=True)
    for path, pair in track(pairs, 'images', len(paths), console=Console(stderr=True), transient=True):
        pair = pair._replace(light=pair.light.to(device), dark=pair.dark.to(device))
        seen = {title: (teacher(pair.light), teacher(pair.dark)) for title, teacher in teachers.items()}
        for title, decompositions in seen.items():
            measured[title].append(measure(pair, *decompositions))
        if path in drawn:
            draw_teachers(Path(args.pictures) / f'{path.stem}.png', pair, seen)
    settings = f'images: {len(paths)}, long side: {args.long_side} px at most, seed of the dark: {args.seed}'
    table = markdown_table(measured, settings)
    print(table, end='')
    if args.out:
        write_whole(Path(args.out), table.encode(), '--out')
