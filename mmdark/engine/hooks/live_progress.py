"""Show the progress of a training on the terminal."""

from __future__ import annotations

import atexit
import time
from contextlib import suppress

from mmdet.registry import HOOKS
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

SCORES = ('AP', 'mAP', 'bbox_mAP_50')
"""Last name parts of the metrics that are shown."""
MIN_WIDTH = 100
"""Minimum terminal width, in columns, for showing the bar and the elapsed time."""
MIN_SECONDS = 0.25
"""Minimum seconds between two updates; each reads the loss, which makes the CPU wait for the GPU."""


@HOOKS.register_module()
class LiveProgress(Hook):
    """Show the loss, images per second, the remaining time and the AP of the last validation in one line.

    Args:
        plain_interval: if the output is not a terminal, print a line every ``plain_interval`` iterations and at the
            beginning of each validation; None prints nothing.
        console: where to draw; stderr by default.
    """

    priority = 'VERY_LOW'

    def __init__(self, plain_interval: int | None = None, console: Console | None = None) -> None:
        self.plain_interval = plain_interval
        self.console = console or Console(stderr=True)
        self.progress: Progress | None = None
        self.scores = ''
        self.shown_at = float('-inf')

    def before_train(self, runner: Runner) -> None:
        """Start the progress line."""
        self.start, self.start_iter = time.monotonic(), runner.iter
        if not (is_main_process() and self.console.is_terminal):
            return
        wide = self.console.width >= MIN_WIDTH
        columns = [
            TextColumn('training'),
            *([BarColumn(bar_width=None)] if wide else []),
            MofNCompleteColumn(),
            TextColumn('loss {task.fields[loss]:.3f}'),
            TextColumn('{task.fields[speed]:.3g} img/s'),
            *([TimeElapsedColumn()] if wide else []),
            TextColumn('ETA {task.fields[eta]}'),
            TextColumn('{task.fields[scores]}'),
        ]
        self.progress = Progress(*columns, console=self.console, expand=wide)
        self.task = self.progress.add_task(
            '', total=runner.max_iters, completed=runner.iter, loss=float('nan'), speed=0.0, eta='', scores=self.scores
        )
        self.progress.start()
        atexit.register(self.progress.stop)  # restores the cursor of the terminal, even after an error

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]) -> None:
        """Update the progress line."""
        done = runner.iter + 1
        if self.progress is not None:
            now = time.monotonic()
            self.progress.update(self.task, completed=done)
            if now - self.shown_at >= MIN_SECONDS or done >= runner.max_iters:
                self.shown_at = now
                images = len(data_batch['data_samples']) * get_world_size()
                speed = (self.progress.tasks[self.task].speed or 0.0) * images
                eta = self._eta(runner, now)
                self.progress.update(self.task, loss=outputs['loss'].item(), speed=speed, eta=eta)
        elif self.plain_interval and self.every_n_train_iters(runner, self.plain_interval) and is_main_process():
            loss, eta = outputs['loss'].item(), self._eta(runner, time.monotonic())
            self._print(f'training {done}/{runner.max_iters}  loss {loss:.3f}  ETA {eta}')

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: list | None = None
    ) -> None:
        """Show the progress of a validation."""
        total = len(runner.val_loop.dataloader)
        if self.progress is not None and time.monotonic() - self.shown_at >= MIN_SECONDS:
            self.shown_at = time.monotonic()
            self.progress.update(self.task, scores=f'validating {batch_idx + 1}/{total}')
        elif self.progress is None and self.plain_interval and batch_idx == 0 and is_main_process():
            self._print(f'validating {total}')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Show the AP in the form ``AP day 0.812 dark 0.437``."""
        shown = [(name.split('/'), value) for name, value in (metrics or {}).items() if name.split('/')[-1] in SCORES]
        self.scores = ' '.join(['AP', *(f'{words[0]} {value:.3f}' for words, value in shown)]) if shown else ''
        if self.progress is not None:
            self.progress.update(self.task, scores=self.scores)

    def after_train(self, runner: Runner) -> None:
        """Stop updating; the last line stays on the terminal."""
        if self.progress is not None:
            self.progress.stop()

    after_run = after_train

    def _print(self, line: str) -> None:
        with suppress(OSError):  # a file on a full disk must not end a training
            self.console.print(line, highlight=False)

    def _eta(self, runner: Runner, now: float) -> str:
        """Remaining time, ``h:mm:ss``, from the ``TimeLeft`` hook; without that hook, validations are not included."""
        done = runner.iter + 1
        left = (now - self.start) / (done - self.start_iter) * (runner.max_iters - done)
        left = getattr(getattr(runner, 'message_hub', None), 'runtime_info', {}).get('eta', left)
        minutes, seconds = divmod(round(left), 60)
        return f'{minutes // 60}:{minutes % 60:02}:{seconds:02}'
