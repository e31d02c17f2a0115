"""One line that shows how far training is, how fast it goes and how good it was."""

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
"""The numbers of a validation that the line shows, by the last part of their names."""
MIN_WIDTH = 100
"""Of a terminal, in letters, for the bar and the time that has gone by; a narrower one does without."""
MIN_SECONDS = 0.25
"""Between two looks at the loss: each makes the CPU wait for the GPU."""


@HOOKS.register_module()
class LiveProgress(Hook):
    """A progress line with the loss, images a second, the time that remains and the AP of the last validation.

    It is drawn on a terminal; elsewhere the log has to do.

    Args:
        plain_interval: without a terminal, print a line every so many iterations, and one as a validation begins; None
            leaves it to the log.
        console: where to draw; stderr by default.
    """

    priority = 'VERY_LOW'

    def __init__(self, plain_interval: int | None = None, console: Console | None = None) -> None:
        self.plain_interval = plain_interval
        self.console = console or Console(stderr=True)
        self.progress: Progress | None = None
        self.scores = ''
        self.shown = float('-inf')

    def before_train(self, runner: Runner) -> None:
        """Start the line."""
        self.start, self.start_iter = time.monotonic(), runner.iter
        if not (is_main_process() and self.console.is_terminal):
            return
        wide = self.console.width >= MIN_WIDTH
        columns = [
            TextColumn('training'),
            BarColumn(bar_width=None) if wide else None,
            MofNCompleteColumn(),
            TextColumn('loss {task.fields[loss]:.3f}'),
            TextColumn('{task.fields[speed]:.3g} img/s'),
            TimeElapsedColumn() if wide else None,
            TextColumn('ETA {task.fields[eta]}'),
            TextColumn('{task.fields[scores]}'),
        ]
        self.progress = Progress(*filter(None, columns), console=self.console, expand=wide)
        self.task = self.progress.add_task(
            '', total=runner.max_iters, completed=runner.iter, loss=float('nan'), speed=0.0, eta='', scores=self.scores
        )
        self.progress.start()
        atexit.register(self.progress.stop)  # an error must not leave the terminal without a cursor

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]) -> None:
        """Move the line."""
        if self.progress is not None:
            self._move(runner, data_batch, outputs)
        elif self.plain_interval and self.every_n_train_iters(runner, self.plain_interval) and is_main_process():
            done, eta = runner.iter + 1, self._eta(runner, time.monotonic())
            self._print(f'training {done}/{runner.max_iters}  loss {outputs["loss"].item():.3f}  ETA {eta}')

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: list | None = None
    ) -> None:
        """Say how far a validation within the training is."""
        if self.progress is not None and time.monotonic() - self.shown >= MIN_SECONDS:
            self.shown = time.monotonic()
            done = f'validating {batch_idx + 1}/{len(runner.val_loop.dataloader)}'
            self.progress.update(self.task, scores=done)
        elif self.progress is None and self.plain_interval and batch_idx == 0 and is_main_process():
            self._print(f'validating {len(runner.val_loop.dataloader)}')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the AP of this validation in sight, as ``AP day 0.812 dark 0.437``."""
        shown = [(name.split('/'), value) for name, value in (metrics or {}).items() if name.split('/')[-1] in SCORES]
        self.scores = ' '.join(['AP', *(f'{words[0]} {value:.3f}' for words, value in shown)]) if shown else ''
        if self.progress is not None:
            self.progress.update(self.task, scores=self.scores)

    def _print(self, line: str) -> None:
        """A line where there is no terminal."""
        with suppress(OSError):  # in a file on a full disk it is not worth a training
            self.console.print(line, highlight=False)

    def _move(self, runner: Runner, data_batch: dict, outputs: dict[str, Tensor]) -> None:
        done, now = runner.iter + 1, time.monotonic()
        self.progress.update(self.task, completed=done)
        if now - self.shown < MIN_SECONDS and done < runner.max_iters:
            return
        self.shown = now
        images = len(data_batch['data_samples']) * get_world_size()
        speed = (self.progress.tasks[self.task].speed or 0.0) * images
        self.progress.update(self.task, loss=outputs['loss'].item(), speed=speed, eta=self._eta(runner, now))

    def _eta(self, runner: Runner, now: float) -> str:
        """Hours, minutes and seconds that are left: what ``TimeLeft`` says, or else those of the iterations alone."""
        done = runner.iter + 1
        left = (now - self.start) / (done - self.start_iter) * (runner.max_iters - done)
        left = getattr(getattr(runner, 'message_hub', None), 'runtime_info', {}).get('eta', left)
        minutes, seconds = divmod(round(left), 60)
        return f'{minutes // 60}:{minutes % 60:02}:{seconds:02}'

    def after_run(self, runner: Runner) -> None:
        """Leave the line as it is."""
        if self.progress is not None:
            self.progress.stop()

    def after_train(self, runner: Runner) -> None:
        """End the line with the training."""
        self.after_run(runner)
