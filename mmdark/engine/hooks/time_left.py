"""The time that a training still takes, validations included."""

from __future__ import annotations

import time

from mmdet.registry import HOOKS
from mmengine.hooks import IterTimerHook
from mmengine.runner import IterBasedTrainLoop, Runner

SECONDS = 'validation_seconds'
"""In the message hub: how long the last validation took."""


@HOOKS.register_module()
class TimeLeft(IterTimerHook):
    """``IterTimerHook`` whose ETA includes the validations that are still to come.

    Each is taken to last as long as the last one did, before a resume, too; before the first, each of its batches as
    long as an iteration of the training.
    """

    def before_val(self, runner: Runner) -> None:
        """A validation begins."""
        self.validation_began = time.time()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """A validation has ended."""
        super().after_val_epoch(runner, metrics)
        runner.message_hub.update_info(SECONDS, time.time() - self.validation_began)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Add the validations to the ETA."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if runner.val_loop is None:
            return
        hub = runner.message_hub
        seconds = hub.runtime_info.get(SECONDS)
        if seconds is None:
            iterations = runner.iter - self.start_iter + 1
            seconds = len(runner.val_loop.dataloader) * self.time_sec_tot / iterations
        hub.update_info('eta', hub.get_info('eta') + seconds * validations_left(runner, batch_idx))


def validations_left(runner: Runner, batch_idx: int) -> int:
    """How many validations are still to come.

    Args:
        runner: after an iteration of the training, not yet counted.
        batch_idx: of that iteration, in its epoch.
    """
    loop = runner.train_loop
    if isinstance(loop, IterBasedTrainLoop):
        now, last = loop.iter, loop.max_iters
    else:
        length = len(loop.dataloader)
        after_this_epoch = loop.max_iters - (loop.iter - batch_idx) - length
        now, last = loop.epoch, loop.epoch + 1 + max(0, -(-after_this_epoch // length))
    if last < loop.val_begin:  # ours validates at the end all the same
        return int(not isinstance(loop, IterBasedTrainLoop))
    before = max(now, loop.val_begin - 1)
    return last // loop.val_interval - before // loop.val_interval + int(last % loop.val_interval != 0)
