"""Short lives of one training: each begins as a fork of a process that has imported everything, and may be killed.

Preloaded by multiprocessing's fork server, so it imports and computes nothing.
"""

from __future__ import annotations

import os
import signal
import warnings
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch._dynamo  # optimizers import it, which takes seconds
from mmengine.config import config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from yapf.yapflib import yapf_api

import mmdark.whole_file
from mmdark.apis import choose_start
from tests.tiny_line import line_runner
from tests.tiny_wider import lite_config

TRAINING = {
    'train_dataloader.num_workers': 2,
    'train_dataloader.persistent_workers': True,
    'default_hooks.checkpoint.interval': 3,
    'default_hooks.checkpoint.max_keep_ckpts': 2,
    'default_hooks.checkpoint.save_best': 'dark/wider/AP',
    'default_hooks.checkpoint.rule': 'greater',
    'model.detector.test_cfg.score_thr': 0.0,
}
POINTS = ('in the middle of the part', 'before the rename', 'after the rename', 'after the record')
"""Where a write of a checkpoint may be cut."""


class ReportIteration(Hook):
    """Tell the one who kills which iteration begins; a validation counts as half of one."""

    priority = 'VERY_HIGH'

    def __init__(self, progress: Synchronized) -> None:
        self.progress = progress

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """An iteration begins."""
        self.progress.value = runner.iter

    def before_val(self, runner: Runner) -> None:
        """A validation begins."""
        self.progress.value = runner.iter - 0.5


def kill_at(point: str, file: str) -> Any:
    """Have this process kill itself at a point of writing the file of this name."""
    real_replace, real_fsync = os.replace, os.fsync

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def fsync(handle: int) -> None:
        path = Path(os.readlink(f'/proc/self/fd/{handle}'))
        if path.name.startswith(f'.{file}.'):
            os.truncate(path, path.stat().st_size // 2)
            die()
        real_fsync(handle)

    def replace(part: Path, path: Path) -> None:
        if path.name == file and point == POINTS[1]:
            die()
        real_replace(part, path)
        if path.name == (file if point == POINTS[2] else 'last_checkpoint') and (
            point == POINTS[2] or file in path.read_text()
        ):
            die()

    if point == POINTS[0]:
        return patch.object(mmdark.whole_file.os, 'fsync', fsync)
    return patch.object(mmdark.whole_file.os, 'replace', replace)


def live(root: Path, work_dir: Path, iterations: int, progress: Synchronized, cut: tuple[str, str] | None) -> None:
    """Train until the end or until killed, from the newest whole checkpoint on.

    Args:
        root: a folder of ``write_wider``.
        work_dir: of the training.
        iterations: the whole training has so many.
        progress: gets the iteration that has begun.
        cut: a point of :data:`POINTS` and the name of the checkpoint in whose writing this life ends.
    """
    os.environ['OMP_NUM_THREADS'] = '1'
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')

    def plain(text: str, **_: object) -> tuple[str, bool]:
        return text, True

    with patch.object(yapf_api, 'FormatCode', plain), patch.object(config, 'FormatCode', plain, create=True):
        cfg = lite_config(root, work_dir, iterations, TRAINING)
        cfg.train_cfg.val_interval = 2
        cfg.val_dataloader, cfg.val_cfg, cfg.val_evaluator = (
            cfg.test_dataloader,
            dict(type='ValLoop'),
            cfg.test_evaluator,
        )
        runner = Runner.from_cfg(cfg)
        runner.register_hook(ReportIteration(progress))
        choose_start(runner, 'auto')
        if cut is None:
            runner.train()
        else:
            with kill_at(*cut):
                runner.train()


class SignalSelf(Hook):
    """SIGTERM to this process in one iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Now, or not."""
        if runner.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGTERM)


def live_together(rank: int, place: dict[str, str], work_dir: Path, progress: Synchronized, signal_at: int) -> None:
    """One of two processes that train a line; the second one signals itself."""
    torch.set_num_threads(1)
    os.environ.update(place, RANK=str(rank), WORLD_SIZE='2')
    torch.distributed.init_process_group('gloo')
    hooks = [ReportIteration(progress), dict(type='SaveOnSigterm'), *([SignalSelf(signal_at)] if rank else [])]
    line_runner(work_dir, hooks, epochs=50, interval=1000).train()
