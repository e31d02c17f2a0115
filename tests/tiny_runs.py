"""Work directories as mmengine's Runner writes them, with numbers of our choice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

EPOCH = 4
"""Iterations of an epoch."""


def settings(seed: int | None = 0, max_epochs: int = 3, **more: Any) -> dict[str, Any]:
    """What the reader looks for in a config, and more."""
    return {
        'randomness': {'seed': seed},
        'train_cfg': {'max_epochs': max_epochs, 'max_iters': None},
        'val_cfg': {},
        'val_dataloader': {'batch_size': 1},
        'default_hooks': {'logger': {'interval': 1}, 'checkpoint': {'save_best': 'dark/wider/AP'}},
        'resume': False,
        'load_from': None,
        **more,
    }


def train_line(iteration: int, loss: float = 1.0) -> dict[str, float]:
    return {'lr': 0.1, 'loss': loss, 'epoch': (iteration - 1) // EPOCH + 1, 'iter': iteration, 'step': iteration}


def val_line(epoch: int, **scores: float) -> dict[str, float]:
    """``dark=0.5`` is ``dark/wider/AP``."""
    return {**{f'{part}/wider/AP': score for part, score in scores.items()}, 'step': epoch}


def write_start(
    work_dir: Path, time: str, lines: Sequence[dict[str, float]], cfg: dict[str, Any], name: str = 'dsfd_dark_wider'
) -> Path:
    """One start of a training; the ``scalars.json`` that it left."""
    folder = work_dir / time / 'vis_data'
    folder.mkdir(parents=True)
    Config(cfg).dump(folder / 'config.py')
    Config(cfg).dump(work_dir / f'{name}.py')
    (folder / 'scalars.json').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return folder / 'scalars.json'


def write_run(work_dir: Path, name: str, scores: Sequence[dict[str, float]], seed: int | None = 0, **more: Any) -> Path:
    """A training with a validation after each epoch, from beginning to end."""
    lines: list[dict[str, float]] = []
    for epoch, score in enumerate(scores, start=1):
        lines += [train_line(iteration) for iteration in range((epoch - 1) * EPOCH + 1, epoch * EPOCH + 1)]
        lines += [val_line(epoch, **score)]
    write_start(work_dir, '20260101_000000', lines, settings(seed, **more), name)
    return work_dir
