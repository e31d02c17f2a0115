"""Short lives of one training: each begins as a fork of a process that has imported everything, and may be ended.

Preloaded by multiprocessing's fork server, so it imports and computes nothing.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from unittest.mock import patch

import torch
import torch._dynamo  # optimizers import it, which takes seconds
from mmengine.config import Config, config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from yapf.yapflib import yapf_api

import mmdark.whole_file
from mmdark.apis import choose_start, prepare_distributed, run_and_leave, run_or_explain
from tests.tiny_line import line_runner
from tests.tiny_wider import lite_config

TRAINING = {
    'train_dataloader.batch_size': 2,
    'train_dataloader.num_workers': 1,
    'train_dataloader.persistent_workers': True,
    'default_hooks.checkpoint.interval': 3,
    'default_hooks.checkpoint.max_keep_ckpts': 2,
    'default_hooks.checkpoint.max_minutes': 0.02,
    'default_hooks.checkpoint.save_best': 'dark/wider/AP',
    'default_hooks.checkpoint.rule': 'greater',
    'model.detector.neck.norm_cfg.type': 'GN',  # batch norm cannot train on one image of this size
    'model.detector.neck.norm_cfg.num_groups': 1,
    'default_hooks.validation_loss': None,
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


class SignalInValidation(Hook):
    """A signal to this process before an image of the first validation that comes after some iteration."""

    def __init__(self, iteration: int, image: int, number: int) -> None:
        self.iteration, self.image, self.number = iteration, image, number

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Now, or not."""
        if runner.iter >= self.iteration and batch_idx == self.image:
            os.kill(os.getpid(), self.number)


@contextmanager
def signal_in_writing(point: str, file: str, number: int = signal.SIGKILL) -> Iterator[None]:
    """Have this process signal itself, once, at a point of writing the file of this name."""
    real_replace, real_fsync = os.replace, os.fsync
    waiting = [number]

    def signal_self() -> None:
        if waiting:
            os.kill(os.getpid(), waiting.pop())

    def fsync(handle: int) -> None:
        path = Path(os.readlink(f'/proc/self/fd/{handle}'))
        if path.name.startswith(f'.{file}.') and point == POINTS[0]:
            if number == signal.SIGKILL:
                os.truncate(path, path.stat().st_size // 2)
            signal_self()
        real_fsync(handle)

    def replace(part: Path, path: Path) -> None:
        if path.name == file and point == POINTS[1]:
            signal_self()
        real_replace(part, path)
        if path.name == file and point == POINTS[2]:
            signal_self()
        if path.name == 'last_checkpoint' and point == POINTS[3] and file in path.read_text():
            signal_self()

    with patch.object(mmdark.whole_file.os, 'fsync', fsync), patch.object(mmdark.whole_file.os, 'replace', replace):
        yield


def live(
    root: Path,
    work_dir: Path,
    iterations: int,
    progress: Synchronized,
    place: dict[str, str] | None = None,
    in_writing: tuple[str, str, int] | None = None,
    in_validation: tuple[int, int, int] | None = None,
) -> None:
    """Train until the end or until signalled, from the newest whole checkpoint on; two processes meet, if they do.

    Args:
        root: a folder of ``write_wider``.
        work_dir: of the training.
        iterations: the whole training has so many.
        progress: gets the iteration that has begun.
        place: of ``meeting``, with RANK, where there are two processes.
        in_writing: a point of :data:`POINTS`, the name of the checkpoint in whose writing this process signals itself,
            and the signal.
        in_validation: of :class:`SignalInValidation`.
    """
    os.environ.update(OMP_NUM_THREADS='1', LOCAL_RANK='0', **(place or {}))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')

    def plain(text: str, **_: object) -> tuple[str, bool]:
        return text, True

    def train() -> None:
        cfg = training_config(root, work_dir, iterations)
        if place:
            cfg.train_dataloader.batch_size //= 2
            prepare_distributed(cfg, 'pytorch')
        runner = Runner.from_cfg(cfg)
        runner.register_hook(ReportIteration(progress))
        if in_validation:
            runner.register_hook(SignalInValidation(*in_validation))
        choose_start(runner, 'auto')
        with signal_in_writing(*in_writing) if in_writing else nullcontext():
            runner.train()

    with patch.object(yapf_api, 'FormatCode', plain), patch.object(config, 'FormatCode', plain, create=True):
        run_or_explain(lambda: run_and_leave(train))


def training_config(root: Path, work_dir: Path, iterations: int) -> Config:
    """The lite detector with averages of its weights and a validation after each epoch."""
    cfg = lite_config(root, work_dir, iterations, TRAINING)
    cfg.train_cfg.val_interval = 1
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    cfg.val_dataloader, cfg.val_cfg, cfg.val_evaluator = (
        cfg.test_dataloader,
        dict(type='ValLoop'),
        cfg.test_evaluator,
    )
    return cfg


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
