"""The data pipeline in one process: decode a JPEG, augment it, darken it."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from mmdet.registry import DATASETS

from mmdark.errors import InputError

from .machine import Settings
from .measure import Case, Work
from .model import read_config
from .published import published_part, use_checkout


def ours(settings: Settings) -> Work:
    """The config's own training data set, image after image."""
    dataset, indices = _dataset(settings)

    def read() -> None:
        for index in indices:
            dataset[index]

    return Work(read, images=len(indices))


def published(settings: Settings, checkout: Path) -> Work:
    """The published data set on the same images, and its darkening."""
    dataset, indices = _dataset(settings)
    use_checkout(checkout, 'cpu')
    degrade = published_part('utils/DarkISP.py')
    with TemporaryDirectory() as folder:
        file = Path(folder) / 'list.txt'
        file.write_text(''.join(_line(dataset.get_data_info(index)) for index in indices), encoding='utf-8')
        theirs = published_part('data/widerface.py')(str(file), mode='train')
    if len(theirs) != len(indices):
        raise InputError(f'--against: of these {len(indices)} images the published code takes only {len(theirs)}')

    def read() -> None:
        for index in range(len(theirs)):
            degrade(theirs[index][0] / 255)

    return Work(read, images=len(theirs))


def _dataset(settings: Settings) -> tuple[torch.utils.data.Dataset, list[int]]:
    """The training data set, and which of its images are read, spread over all of it."""
    random.seed(settings.seed)
    np.random.seed(settings.seed)  # noqa: NPY002
    torch.manual_seed(settings.seed)
    dataset = DATASETS.build(read_config(settings).train_dataloader.dataset)
    count = min(settings.images, len(dataset))
    return dataset, [index * len(dataset) // count for index in range(count)]


def _line(info: dict) -> str:
    """An image and its faces in the list that the published code reads: ``name n x y w h 1 ...``."""
    path = str(Path(info['img_path']).resolve())
    if ' ' in path:
        raise InputError(f'--against: the published code cannot read {path}: no blank may be in its name')
    boxes = [instance['bbox'] for instance in info['instances']]
    rows = [f'{x1} {y1} {x2 - x1} {y2 - y1} 1' for x1, y1, x2, y2 in boxes]
    return ' '.join([path, str(len(rows)), *rows]) + '\n'


DATA = Case('data: JPEG to a pair, one process', ours, published, reads_photographs=True)
