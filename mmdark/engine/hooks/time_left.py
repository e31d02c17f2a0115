"""The time that a training still takes, including validations."""

from __future__ import annotations

import time

from mmdet.registry import HOOKS
from mmengine.hooks import IterTimerHook
from mmengine.runner import IterBasedTrainLoop, Runner

SECONDS = 'validation_seconds'
"""In the message hub: duration of the last validation."""


@HOOKS.register_module()
class TimeLeft(IterTimerHook):
    """``IterTimerHook`` whose ETA includes the remaining validations.

    Each counts with the duration of the last one, also of one before a resume; before the first, each of its batches
    counts as an iteration of the training.
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
    """Number of remaining validations after an iteration that is not counted yet, ``batch_idx`` of its epoch."""
    loop = runner.train_loop
    if isinstance(loop, IterBasedTrainLoop):
        now, last = loop.iter, loop.max_iters
    else:
        length = len(loop.dataloader)
        after_this_epoch = loop.max_iters - (loop.iter - batch_idx) - length
        now, last = loop.epoch, loop.epoch + 1 + max(0, -(-after_this_epoch // length))
    if last < loop.val_begin:  # ResumableEpochLoop validates at the end in any case
        return int(not isinstance(loop, IterBasedTrainLoop))
    before = max(now, loop.val_begin - 1)
    return last // loop.val_interval - before // loop.val_interval + int(last % loop.val_interval != 0)
