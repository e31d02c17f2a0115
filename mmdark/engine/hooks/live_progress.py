"""One line that shows how far training is."""

from __future__ import annotations

import atexit
import datetime
import time

from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor


@HOOKS.register_module()
class LiveProgress(Hook):
    """A progress line with the loss and the time that remains, on a terminal; elsewhere the log has to do.

    Args:
        plain_interval: without a terminal, print a line every so many iterations; None leaves it to the log.
        console: where to draw; stderr by default.
    """

    priority = 'VERY_LOW'

    def __init__(self, plain_interval: int | None = None, console: Console | None = None) -> None:
        self.plain_interval = plain_interval
        self.console = console or Console(stderr=True)
        self.progress: Progress | None = None

    def before_train(self, runner: Runner) -> None:
        """Start the line."""
        self.start, self.start_iter = time.monotonic(), runner.iter
        if not (is_main_process() and self.console.is_terminal):
            return
        self.progress = Progress(
            TextColumn('training'),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn('loss {task.fields[loss]:.3f}'),
            TimeElapsedColumn(),
            TextColumn('ETA'),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.task = self.progress.add_task('', total=runner.max_iters, completed=runner.iter, loss=float('nan'))
        self.progress.start()
        atexit.register(self.progress.stop)  # an error must not leave the terminal without a cursor

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]) -> None:
        """Move the line."""
        if self.progress is not None:
            self.progress.update(self.task, completed=runner.iter + 1, loss=outputs['loss'].item())
        elif self.plain_interval and self.every_n_train_iters(runner, self.plain_interval) and is_main_process():
            done = runner.iter + 1
            left = (time.monotonic() - self.start) / (done - self.start_iter) * (runner.max_iters - done)
            eta = datetime.timedelta(seconds=round(left))
            line = f'training {done}/{runner.max_iters}  loss {outputs["loss"].item():.3f}  ETA {eta}'
            self.console.print(line, highlight=False)

    def after_run(self, runner: Runner) -> None:
        """Leave the line as it is."""
        if self.progress is not None:
            self.progress.stop()

    def after_train(self, runner: Runner) -> None:
        """End the line with the training."""
        self.after_run(runner)
