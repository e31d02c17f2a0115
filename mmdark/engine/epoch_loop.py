"""Epochs that can end, and go on, in their middle, and whose randomness is counted, not drawn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice

import torch
from mmdet.registry import DATA_SAMPLERS, LOOPS
from mmengine.dataset import DefaultSampler
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmdark.engine.accumulation import accumulated_batches
from mmdark.errors import InputError


class CountedIndex(int):
    """The index of a sample that knows the seed of the training and the epoch in which it is taken.

    Attributes:
        counter: (seed, epoch, index), of which ``CountedDataset`` makes the sample's randomness.
    """

    counter: tuple[int, int, int]

    def __new__(cls, index: int, seed: int = 0, epoch: int = 0) -> CountedIndex:
        """An int with a counter; a worker process gets both."""
        counted = super().__new__(cls, index)
        counted.counter = (seed, epoch, int(index))
        return counted


@DATA_SAMPLERS.register_module()
class ResumableSampler(DefaultSampler):
    """``DefaultSampler`` of counted indices whose next epoch may start after its first ``start`` samples.

    ``start`` counts the samples of this process.
    """

    start = 0

    def __iter__(self) -> Iterator[CountedIndex]:
        """The indices of one epoch; ``start`` is used up."""
        start, self.start = self.start, 0
        return (CountedIndex(index, self.seed, self.epoch) for index in islice(super().__iter__(), start, None))


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """``EpochBasedTrainLoop`` that resumes within an epoch and may be cut at a number of iterations.

    mmengine's loop begins the epoch anew when it resumes from a checkpoint written in its middle; this one leaves out
    the batches that were already trained on, without loading them. The sampler must be a :class:`ResumableSampler`.

    The data set of a dataloader that is built here is wrapped into a ``CountedDataset``: the randomness of a sample
    depends on (seed, epoch, index) alone, whatever the number of workers, processes and resumes.

    Args:
        runner: see mmengine.
        dataloader: see mmengine.
        max_epochs: stop after so many epochs.
        max_iters: stop after so many iterations, if that comes first; None sets no such limit. An iteration is one
            batch: with ``accumulative_counts=8`` eight of them make one step of the optimizer.
        **kwargs: of ``EpochBasedTrainLoop``.
    """

    def __init__(
        self, runner: object, dataloader: object, max_epochs: int, max_iters: int | None = None, **kwargs: object
    ) -> None:
        if isinstance(dataloader, dict):
            dataloader = {**dataloader, 'dataset': dict(type='CountedDataset', dataset=dataloader['dataset'])}
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self._seed = runner.seed
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
        """Train, with a validation every ``val_interval`` epochs and at the end.

        Raises:
            InputError: a checkpoint would be written between two steps of the optimizer.
        """
        self._prepare()
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

    def _prepare(self) -> None:
        """Take over what a checkpoint has changed since this loop was built."""
        sampler, optim_wrapper = self.dataloader.sampler, self.runner.optim_wrapper
        if sampler.seed == self._seed:
            sampler.seed = self._seed = self.runner.seed
        planned, self._skip = self._max_iters, self._begin()
        if self._max_iters != planned:
            optim_wrapper.initialize_count_status(self.runner.model, self._iter, self._max_iters)
        _check_interval(self.runner, accumulated_batches(optim_wrapper))

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


def _check_interval(runner: Runner, accumulative_counts: int) -> None:
    """Gradients that wait for their step are in no checkpoint: none may be planned there."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.interval > 0:
            length = len(runner.train_dataloader) if hook.by_epoch else 1
            if hook.interval * length % accumulative_counts:
                raise InputError(
                    f'default_hooks.checkpoint.interval={hook.interval} ({"epochs" if hook.by_epoch else "iterations"})'
                    f' would write checkpoints between two steps of optim_wrapper.accumulative_counts='
                    f'{accumulative_counts} iterations, and lose gradients on a resume; count iterations '
                    f'(default_hooks.checkpoint.by_epoch=False), in multiples of {accumulative_counts}'
                )
