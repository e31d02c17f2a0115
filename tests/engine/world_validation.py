"""Trainings with batch norm, as one of two gloo processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmdark.apis import leave_distributed, load_config, prepare_distributed
from mmdark.engine.trained_model import detector_of
from tests.tiny_wider import LITE, ROOT

ITERATIONS = 4
"""In two epochs; each ends with a validation."""
STOP = 3
"""Where a training resumes: within an epoch."""
EMA = {'type': 'EMAHook', 'ema_type': 'ExpMomentumEMA', 'momentum': 0.2}
TRAININGS = {'plain': [], 'moving average of buffers, too': [{**EMA, 'update_buffers': True}]}
"""Names and custom hooks."""
OPTIONS = {
    'train_cfg.max_iters': ITERATIONS,
    'train_cfg.val_interval': 1,
    'param_scheduler.total_steps': ITERATIONS,
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
    'model.detector.test_cfg.score_thr': 0.0,
    'default_hooks.checkpoint.interval': 1,
    'default_hooks.draw_train_panels': None,
    'default_hooks.validation_loss.input_size': 64,
    'log_level': 'WARNING',
}


class RecordBuffers(Hook):
    """Keeps copies of the buffers that are saved."""

    def __init__(self, priority: str) -> None:
        self.priority = priority
        self.buffers: list[dict[str, Tensor]] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """As they are now."""
        model = detector_of(runner)
        saved = model.state_dict()
        named = ((name.removeprefix('detector.'), value) for name, value in model.named_buffers())
        self.buffers.append({name: value.clone() for name, value in named if name in saved})


class RecordMetrics(Hook):
    """Keeps the numbers of each validation."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.metrics: list[dict[str, float]] = []

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """They are complete."""
        self.metrics.append(dict(metrics))


def lite_config(root: str, work_dir: Path, hooks: list[dict], options: dict[str, Any]) -> Config:
    """The lite config, whose feature enhancement has batch norm, an eighth as wide."""
    path = ROOT / 'configs' / 'dsfd_dark_lite_wider.py'
    cfg = load_config(str(path), {**LITE, **OPTIONS, 'data_root': root, **options}, str(work_dir))
    cfg.custom_hooks = hooks
    cfg.experiment_name = uuid4().hex
    return cfg


def train(root: str, work_dir: Path, hooks: list[dict], options: dict[str, Any]) -> dict[str, list]:
    """Train as one of several processes.

    Returns:
        The buffers of each iteration, ``before`` and ``after`` mmdark's hooks, and the ``metrics`` of each validation.
    """
    cfg = lite_config(root, work_dir, hooks, options)
    prepare_distributed(cfg, 'pytorch')
    runner = Runner.from_cfg(cfg)
    before, after, metrics = RecordBuffers('HIGHEST'), RecordBuffers('LOWEST'), RecordMetrics()
    for hook in (before, after, metrics):
        runner.register_hook(hook)
    runner.train()
    return {'before': before.buffers, 'after': after.buffers, 'metrics': metrics.metrics}


def main(root: str, folder: Path) -> None:
    """As one of two processes."""
    found = {}
    for name, hooks in TRAININGS.items():
        whole, resumed = (folder / f'{name}, {kind}' for kind in ('whole', 'resumed'))
        found[whole.name] = train(root, whole, hooks, {})
        stop = {'load_from': str(whole / f'iter_{STOP}.pth'), 'resume': True}
        found[resumed.name] = train(root, resumed, hooks, stop)
    torch.save(found, folder / f'found_{os.environ["RANK"]}.pt')
    leave_distributed()
