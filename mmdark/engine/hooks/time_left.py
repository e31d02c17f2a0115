"""Estimate the remaining time of a training, including validations."""

from __future__ import annotations

import time

from mmdet.registry import HOOKS
from mmengine.hooks import IterTimerHook
from mmengine.runner import IterBasedTrainLoop, Runner

SECONDS = 'validation_seconds'
"""Message hub key: duration of the last validation in seconds."""


@HOOKS.register_module()
class TimeLeft(IterTimerHook):
    """``IterTimerHook`` whose ETA includes the remaining validations.

    Each validation is assumed to take as long as the last one, even if that was before a resume. Before the first
    validation, each validation batch is assumed to take as long as a training iteration.
    """

    def before_val(self, runner: Runner) -> None:
        """Record when the validation begins."""
        self.validation_began = time.time()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Record the duration of the validation."""
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
    """Number of remaining validations, called in ``after_train_iter`` with its ``batch_idx``."""
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
