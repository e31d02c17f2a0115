"""One line that shows how far training is."""

from __future__ import annotations

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
        console: where to draw; stderr by default.
    """

    priority = 'VERY_LOW'

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.progress: Progress | None = None

    def before_train(self, runner: Runner) -> None:
        """Start the line."""
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

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]) -> None:
        """Move the line."""
        if self.progress is not None:
            self.progress.update(self.task, completed=runner.iter + 1, loss=float(outputs['loss']))

    def after_run(self, runner: Runner) -> None:
        """Leave the line as it is."""
        if self.progress is not None:
            self.progress.stop()

    def after_train(self, runner: Runner) -> None:
        """End the line with the training."""
        self.after_run(runner)
