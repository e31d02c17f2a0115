"""A WIDER folder of noise with a few bright faces, and the smallest dark detector that runs every part of the code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mmdark.apis import load_config

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = ROOT / 'configs' / 'quickstart' / 'dsfd_dark_lite_demo.py'
FACE = (20, 16, 52, 56)
"""x y w h of the face in every image."""

CHANNELS = [32, 64, 64, 128, 64, 32]
"""Of the six maps at ``widen_factor=0.125``."""

LITE = {
    'input_size': 64,
    'model.detector.backbone.widen_factor': 0.125,
    'model.detector.neck.in_channels': CHANNELS,
    'model.detector.bbox_head.first_shot.in_channels': CHANNELS,
    'model.detector.bbox_head.second_shot.in_channels': CHANNELS,
    'model.reflectance_decoder.in_channels': 8,
    'train_dataloader.batch_size': 2,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'test_dataloader.num_workers': 0,
    'test_dataloader.persistent_workers': False,
}
"""Options that make the quickstart's model an eighth as wide and its images 64 pixels."""


def photo(seed: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """Noise with a bright rectangle where :data:`FACE` says."""
    pixels = np.random.default_rng(seed).integers(0, 120, (size[1], size[0], 3), dtype=np.uint8)
    x, y, width, height = FACE
    pixels[y : y + height, x : x + width] += 120
    return Image.fromarray(pixels)


def write_annotation(root: Path, part: str, images: Sequence[tuple[str, Sequence[Sequence[Any]]]]) -> None:
    """The official file of ``part``: (name, rows of x y w h) an image."""
    text = ''.join(
        f'{name}\n{len(rows)}\n' + ''.join(' '.join(map(str, row)) + '\n' for row in rows) for name, rows in images
    )
    (root / 'wider_face_split').mkdir(parents=True, exist_ok=True)
    (root / 'wider_face_split' / f'wider_face_{part}_bbx_gt.txt').write_text(text)


def write_wider(root: Path, train: int = 8, val: int = 2) -> Path:
    """A WIDER folder with one face in each image, ``{part}_{number}.jpg``."""
    for part, count in (('train', train), ('val', val)):
        folder = root / f'WIDER_{part}' / 'images' / '0--Noise'
        folder.mkdir(parents=True)
        names = [f'{part}_{number}.jpg' for number in range(count)]
        for seed, name in enumerate(names):
            photo(seed + 100 * (part == 'val')).save(folder / name)
        write_annotation(root, part, [(f'0--Noise/{name}', [FACE]) for name in names])
    return root


def lite_config(root: Path, work_dir: Path, iterations: int = 2, options: dict[str, Any] | None = None) -> Config:
    """The quickstart's config on ``root``, lite, quiet, under a name of its own."""
    own = {
        'data_root': f'{root}/',
        'max_iters': iterations,
        'param_scheduler.total_steps': max(iterations, 2),
        'default_hooks.checkpoint.interval': iterations,
    }
    cfg = load_config(str(QUICKSTART), {**LITE, **own, **(options or {})}, str(work_dir))
    cfg.experiment_name = uuid4().hex
    cfg.log_level = 'WARNING'
    return cfg


def lite_runner(root: Path, work_dir: Path, iterations: int = 2, options: dict[str, Any] | None = None) -> Runner:
    """A Runner of :func:`lite_config`."""
    return Runner.from_cfg(lite_config(root, work_dir, iterations, options))
