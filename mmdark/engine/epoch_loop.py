"""Epochs that can end, and go on, in their middle."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice

import torch
from mmdet.registry import DATA_SAMPLERS, LOOPS
from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop


@DATA_SAMPLERS.register_module()
class ResumableSampler(DefaultSampler):
    """``DefaultSampler`` whose next epoch may start after its first ``start`` samples (of this process)."""

    start = 0

    def __iter__(self) -> Iterator[int]:
        """The indices of one epoch; ``start`` is used up."""
        start, self.start = self.start, 0
        return islice(super().__iter__(), start, None)


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """``EpochBasedTrainLoop`` that resumes within an epoch and may be cut at a number of iterations.

    mmengine's loop begins the epoch anew when it resumes from a checkpoint written in its middle; this one leaves out
    the batches that were already trained on, without loading them. The sampler must be a :class:`ResumableSampler`.

    Args:
        runner: see mmengine.
        dataloader: see mmengine.
        max_epochs: stop after so many epochs.
        max_iters: stop after so many iterations, if that comes first; None sets no such limit.
        **kwargs: of ``EpochBasedTrainLoop``.
    """

    def __init__(
        self, runner: object, dataloader: object, max_epochs: int, max_iters: int | None = None, **kwargs: object
    ) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self._cut = max_iters
        self._skip = self._begin()
        if not isinstance(self.dataloader.sampler, ResumableSampler):
            raise TypeError(
                f'{type(self).__name__} needs sampler=dict(type="ResumableSampler", ...) in its dataloader, got '
                f'{type(self.dataloader.sampler).__name__}'
            )

    @property
    def _finished(self) -> bool:
        return self._epoch >= self._max_epochs or self._iter >= self._max_iters

    def run(self) -> torch.nn.Module:
        """Train, with a validation every ``val_interval`` epochs and at the end."""
        self._skip = self._begin()
        self.runner.call_hook('before_train')
        while not self._finished and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            due = self._epoch >= self.val_begin and self._epoch % self.val_interval == 0
            if self.runner.val_loop is not None and (due or self._finished):
                self.runner.val_loop.run()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Train on the batches of one epoch that are still to come."""
        done, self._skip = self._skip, 0
        self.dataloader.sampler.start = done * self.dataloader.batch_size
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for batch_idx, data_batch in enumerate(self.dataloader, start=done):
            self.run_iter(batch_idx, data_batch)
            if self._iter >= self._max_iters:
                break
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _begin(self) -> int:
        """Set the last iteration; how much of this epoch was trained before the checkpoint that was resumed from."""
        length = len(self.dataloader)
        done = self._iter - self._epoch * length
        if not 0 <= done <= length:
            print_log(
                f'iteration {self._iter} does not lie in epoch {self._epoch + 1} of {length} batches: the batch size '
                'or the number of processes has changed; the epoch starts anew',
                logger='current',
                level=logging.WARNING,
            )
            done = 0
        self._max_iters = self._iter - done + (self._max_epochs - self._epoch) * length
        if self._cut is not None:
            self._max_iters = min(self._max_iters, self._cut)
        return done
