"""A training that starts, stops and changes in no time, with the hooks of every config: two layers on sixteen numbers.

Preloaded by multiprocessing's fork server, so it imports and computes nothing.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import Dataset

from tests.tiny_wider import ROOT

SAMPLES = 16


@DATASETS.register_module()
class SomeNumbers(Dataset):
    """Numbers from 0 on."""

    def __init__(self, size: int = SAMPLES) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {'inputs': torch.tensor([float(index)])}


@MODELS.register_module()
class TwoLayers(BaseModel):
    """Two layers whose weights depend on the order of the numbers."""

    def __init__(self, features: int = 2) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second = torch.nn.Linear(1, features), torch.nn.Linear(features, 1)

    def forward(self, inputs: Tensor, mode: str = 'loss') -> dict[str, Tensor] | list[Tensor]:
        """The loss, or what the layers say."""
        inputs = inputs / SAMPLES
        said = self.second(self.first(inputs))
        return {'loss': ((said - 0.3 * inputs) ** 2).mean()} if mode == 'loss' else [said]


class Killed(Exception):
    """Stands for the end of the process."""


@dataclass
class Seen:
    """One iteration."""

    iteration: int
    epoch: int
    batch: int
    numbers: list[int]
    groups: list[dict[str, Any]]
    weight: float

    @property
    def rate(self) -> float:
        """Of the first group, as it is in the optimizer."""
        return self.groups[0]['lr']


@dataclass
class Life:
    """What one process of a training saw, from its start to its end."""

    seen: list[Seen] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    runner: Runner | None = None

    @property
    def rates(self) -> list[float]:
        return [entry.rate for entry in self.seen]

    @property
    def numbers(self) -> list[list[int]]:
        return [entry.numbers for entry in self.seen]

    def said(self, part: str) -> list[str]:
        """The lines of the log that hold ``part``."""
        return [line for line in self.lines if part in line]


class Watch(Hook):
    """Writes down each iteration before its step, and stops before iteration ``stop``."""

    priority = 'VERY_HIGH'

    def __init__(self, life: Life, stop: int | None) -> None:
        self.life, self.stop = life, stop

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        """Write down, or stop."""
        if runner.iter == self.stop:
            raise Killed
        numbers = [int(number) for number in data_batch['inputs'].flatten().tolist()]
        groups = [
            {key: value for key, value in group.items() if key != 'params'}
            for group in runner.optim_wrapper.optimizer.param_groups
        ]
        weight = float(next(runner.model.parameters()).sum())
        self.life.seen.append(Seen(runner.iter, runner.epoch, batch_idx, numbers, groups, weight))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Hooks of detectors ask for them."""
        data_batch['data_samples'] = []


def config(work_dir: Path, **options: Any) -> Config:
    """Eight batches of two an epoch, three epochs; a checkpoint at the end.

    Args:
        work_dir: where it trains.
        **options: dotted keys with ``__`` for the dot; ``schedule`` stands for the whole ``param_scheduler``,
            ``optimizer`` for that of ``optim_wrapper``.
    """
    cfg = Config.fromfile(ROOT / 'configs' / '_base_' / 'default_runtime.py')
    cfg.merge_from_dict(
        {
            'model': dict(type='TwoLayers'),
            'train_dataloader': dict(
                batch_size=2,
                num_workers=0,
                sampler=dict(type='ResumableSampler', shuffle=True),
                collate_fn=dict(type='default_collate'),
                dataset=dict(type='SomeNumbers', size=SAMPLES),
            ),
            'train_cfg': dict(type='ResumableEpochLoop', max_epochs=3, max_iters=None),
            'optim_wrapper': dict(
                type='OptimWrapper',
                optimizer=options.pop('optimizer', dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.01)),
            ),
            'param_scheduler': options.pop('schedule', []),
            'default_hooks.checkpoint.interval': 1000,
            'default_hooks.checkpoint.save_best': None,
            'default_hooks.sqrt_scale_lr.enable': False,
            'default_hooks.logger.interval': 1,
            'work_dir': str(work_dir),
            'experiment_name': uuid4().hex,
            **{key.replace('__', '.'): value for key, value in options.items()},
        }
    )
    return cfg


def train(work_dir: Path, stop: int | None = None, **options: Any) -> Life:
    """Train to the end, or up to an iteration and its checkpoint; ``resume=True`` or a path goes on."""
    resume = options.pop('resume', None)
    if resume:
        options |= {'resume': True, 'load_from': None if resume is True else str(resume)}
    if stop:
        options.setdefault('default_hooks__checkpoint__interval', stop)
    life = Life()
    runner = Runner.from_cfg(config(work_dir, **options))
    runner.register_hook(Watch(life, stop))
    handler = logging.Handler()
    handler.emit = lambda entry: life.lines.append(entry.getMessage())
    MMLogger.get_current_instance().addHandler(handler)
    life.runner = runner
    try:
        runner.train()
    except Killed:
        assert stop is not None
    finally:
        hook = next(hook for hook in runner.hooks if type(hook).__name__ == 'SaveOnSigterm')
        hook.after_run(runner)
    return life


def train_as_one_of(rank: int, world: int, place: dict[str, str], work_dir: Path, stop: int | None, put: Any) -> None:
    """One of several gloo processes: it goes on where there is a checkpoint, and tells what it saw."""
    torch.set_num_threads(1)
    os.environ.update(place, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world))
    torch.distributed.init_process_group('gloo')
    wrapper = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
    resume = (work_dir / 'last_checkpoint').is_file()
    life = train(work_dir, stop, resume=resume, launcher='pytorch', model_wrapper_cfg=wrapper)
    put.put((rank, life.numbers))
    put.close()
    put.join_thread()
    torch.distributed.barrier()
    os._exit(0)
