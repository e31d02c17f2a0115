"""What a training logs, alone or as one of several gloo processes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdark.apis import leave_distributed, load_config, prepare_distributed
from tests.tiny_wider import CHANNELS, ROOT
from tests.two_processes import run_two_processes

MAIN = 'dsfd_dark_wider.py'
NARROW = {
    'model.detector.backbone.widen_factor': 0.125,
    'model.detector.neck.in_channels': CHANNELS,
    'model.detector.bbox_head.first_shot.in_channels': CHANNELS,
    'model.detector.bbox_head.second_shot.in_channels': CHANNELS,
    'model.reflectance_decoder.in_channels': 8,
}
"""The main config, an eighth as wide."""
OPTIONS = {
    'input_size': 96,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'val_dataloader': None,
    'val_evaluator': None,
    'val_cfg': None,
    'log_level': 'WARNING',
}
"""Small and quiet."""


class Record(Hook):
    """Writes down the losses that the log would show, a dict an iteration."""

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.losses: list[dict[str, float]] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        hub = runner.message_hub
        self.losses.append({name: float(hub.get_scalar(f'train/{name}').current()) for name in outputs})


def config(root: str, work_dir: str, options: dict[str, Any]) -> Config:
    """The main config on ``root``, or the one that is the option ``config``, under a name of its own.

    It is without downloaded weights, and with the teacher that needs no time.
    """
    path = options.get('config', MAIN)
    own = {**(NARROW if path == MAIN else {}), **OPTIONS, 'data_root': root, **options}
    own.pop('config', None)
    cfg = load_config(str(ROOT / 'configs' / path), own, work_dir)
    cfg.model.detector.backbone.init_cfg = cfg.model.detector.backbone.init_cfg[:1] if path == MAIN else None
    cfg.model.enhancer = dict(type='MaxRGBRetinex')
    cfg.experiment_name = uuid4().hex
    return cfg


def losses(root: str, work_dir: str, options: dict[str, Any], launcher: str = 'none') -> list[dict[str, float]]:
    """Train, and give what was logged in each iteration.

    With one thread, however many processes: two threads add up in another order, and where two neighbours are equal but
    for that, max-pooling sends the gradient another way; some iterations later the losses differ in the third digit.
    """
    cfg, record = config(root, work_dir, options), Record()
    prepare_distributed(cfg, launcher)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(record)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runner.train()
    finally:
        torch.set_num_threads(threads)
    return record.losses


def gloo_threads() -> list[str]:
    """The names of this process's threads of gloo, as Linux knows them."""
    names = [path.read_text().strip() for path in Path('/proc/self/task').glob('*/comm')]
    return [name for name in names if 'gloo' in name]


def two_process_losses(root: str, work_dir: Path, options: dict[str, Any]) -> list[list[dict[str, float]]]:
    """:func:`losses` of both of two processes."""
    work_dir.mkdir(parents=True, exist_ok=True)
    run_two_processes(main, root, str(work_dir), options)
    return [json.loads((work_dir / f'losses_{rank}.json').read_text()) for rank in (0, 1)]


def main(root: str, work_dir: str, options: dict[str, Any]) -> None:
    """As one of two processes, which leave no thread of gloo behind."""
    found = losses(root, work_dir, options, 'pytorch')
    assert gloo_threads()
    Path(work_dir, f'losses_{os.environ["RANK"]}.json').write_text(json.dumps(found))
    leave_distributed()
    limit = time.monotonic() + 20
    while gloo_threads() and time.monotonic() < limit:  # Linux may list a thread for a moment after its end
        time.sleep(0.05)
    assert not gloo_threads(), f'{gloo_threads()} may end the process on their own, with an error'
