"""Epoch-based training that resumes exactly, even in the middle of an epoch."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

import numpy as np
import torch
from mmdet.registry import DATA_SAMPLERS, LOOPS
from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log
from mmengine.optim import _ParamScheduler
from mmengine.runner import EpochBasedTrainLoop

from mmdark.engine.training_checks import check_interval, check_total_steps, stateful_steps
from mmdark.errors import InputError

TRAINED = 'trained_samples'
"""Message hub key: the current epoch and how many of its samples are trained, over all processes."""


class CountedIndex(int):
    """A sample index that also carries the training seed and the epoch.

    Attributes:
        counter: (seed, epoch, index); ``CountedDataset`` seeds the sample's random transforms with it.
    """

    counter: tuple[int, int, int]

    def __new__(cls, index: int, seed: int = 0, epoch: int = 0) -> CountedIndex:
        """Create an int with a counter; pickling to a worker process keeps the counter."""
        counted = super().__new__(cls, index)
        counted.counter = (seed, epoch, int(index))
        return counted


@DATA_SAMPLERS.register_module()
class ResumableSampler(DefaultSampler):
    """``DefaultSampler`` that yields :class:`CountedIndex` and can skip the first ``start`` samples of the next epoch.

    ``start`` counts the samples of all processes. The order of samples depends on seed and epoch only; the remaining
    samples are divided among the current processes.
    """

    start = 0

    def __iter__(self) -> Iterator[CountedIndex]:
        """Iterate over the indices of one epoch and reset ``start`` to 0."""
        start, self.start = self.start, 0
        order = list(range(len(self.dataset)))
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            order = torch.randperm(len(order), generator=generator).tolist()
        rest = order[start:]
        if self.round_up:
            rest += islice(cycle(order), -len(rest) % self.world_size)
        return (CountedIndex(index, self.seed, self.epoch) for index in rest[self.rank :: self.world_size])

    def left(self, start: int) -> int:
        """Number of samples for this process after the first ``start`` samples of an epoch."""
        rank = 0 if self.round_up else self.rank
        return len(range(start + rank, len(self.dataset), self.world_size))


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """``EpochBasedTrainLoop`` that can resume within an epoch and end after a number of iterations.

    When mmengine's loop resumes from a checkpoint written in the middle of an epoch, it restarts the epoch. This loop
    records which samples of the epoch are trained and continues with the others, so that each sample is trained once
    per epoch, even if the batch size or the number of processes changes. The sampler must be a
    :class:`ResumableSampler`.

    If ``dataloader`` is a dict, its data set is wrapped in a ``CountedDataset``: the random transforms of a sample
    depend on (seed, epoch, index) only. The random numbers of the model in a step depend on (seed, iteration) only.

    Args:
        runner: see mmengine.
        dataloader: see mmengine.
        max_epochs: number of epochs.
        max_iters: maximum number of iterations; the training ends at whichever limit comes first. An iteration is one
            batch: with ``accumulative_counts=8``, an optimizer step takes eight iterations.
        **kwargs: other arguments of ``EpochBasedTrainLoop``.
    """

    def __init__(
        self, runner: object, dataloader: object, max_epochs: int, max_iters: int | None = None, **kwargs: object
    ) -> None:
        if isinstance(dataloader, dict):
            dataloader = {**dataloader, 'dataset': dict(type='CountedDataset', dataset=dataloader['dataset'])}
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self._seed = runner.seed
        self._cut = max_iters
        if not isinstance(self.dataloader.sampler, ResumableSampler):
            raise TypeError(
                f'{type(self).__name__} needs sampler=dict(type="ResumableSampler", ...) in its dataloader, got '
                f'{type(self.dataloader.sampler).__name__}'
            )
        if max_epochs < 1 or (max_iters is not None and max_iters < 1):
            raise InputError(f'train_cfg: max_epochs={max_epochs}, max_iters={max_iters}: train at least one iteration')
        self._trained = 0
        self._plan()

    @property
    def batches_done(self) -> int:
        """Number of finished batches of the current epoch, in batches of the current size."""
        return len(self.dataloader) - self._batches_left()

    def steps_of(self, scheduler: _ParamScheduler) -> int:
        """Number of steps that an iteration-based scheduler should have taken by now.

        This is one per iteration. A scheduler that spans all epochs instead counts back from the end of the last
        epoch, so that it stays aligned with the epochs if their length has changed at a resume.
        """
        planned = self._max_epochs * len(self.dataloader)
        if scheduler.end != planned:
            return self._iter
        return max(0, planned - self._uncut + self._iter)

    @property
    def _finished(self) -> bool:
        return self._epoch >= self._max_epochs or self._iter >= self._max_iters

    def run(self) -> torch.nn.Module:
        """Train, and validate every ``val_interval`` epochs and at the end.

        Hooks can define ``on_exception(runner)`` to clean up after an error or a stop.

        Raises:
            InputError: a checkpoint is planned between two optimizer steps, or a one-cycle schedule is shorter than the
                training.
        """
        try:
            self._prepare()
            self.runner.call_hook('before_train')
            while not self._finished and not self.stop_training:
                self.run_epoch()
                self._decide_current_val_interval()
                due = self._epoch >= self.val_begin and self._epoch % self.val_interval == 0
                if self.runner.val_loop is not None and (due or self._finished):
                    self.runner.val_loop.run()
            self.runner.call_hook('after_train')
        except BaseException:
            self.runner.call_hook('on_exception')
            raise
        return self.runner.model

    def run_epoch(self) -> None:
        """Train on the remaining batches of one epoch."""
        done = self.batches_done
        self.dataloader.sampler.start = self._trained
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for batch_idx, data_batch in enumerate(self.dataloader, start=done):
            self.run_iter(batch_idx, data_batch)
            if self._iter >= self._max_iters:
                break
        if not self._batches_left():
            self._record(self._iter, self._epoch + 1, 0)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Train on one batch; record its samples first, because a hook may save a checkpoint after it."""
        sampler = self.dataloader.sampler
        step = self.dataloader.batch_size * sampler.world_size
        self._record(self._iter + 1, self._epoch, min(self._trained + step, len(sampler.dataset)))
        _seed_step(self._seed, self._iter)
        super().run_iter(idx, data_batch)

    def _record(self, iteration: int, epoch: int, samples: int) -> None:
        self._trained = samples
        note = dict(iter=iteration, epoch=epoch, samples=samples, of=len(self.dataloader.sampler.dataset))
        self.runner.message_hub.update_info(TRAINED, note)

    def _prepare(self) -> None:
        """Apply what a resumed checkpoint has changed since this loop was built, and check the plan."""
        sampler, optim_wrapper = self.dataloader.sampler, self.runner.optim_wrapper
        if sampler.seed == self._seed:
            sampler.seed = self._seed = self.runner.seed
        planned = self._max_iters
        if self._iter:
            self._resume()
        self._plan()
        if self._max_iters != planned:
            optim_wrapper.initialize_count_status(self.runner.model, self._iter, self._max_iters)
        check_interval(self.runner, self._iter + self._batches_left())
        check_total_steps(self.runner)
        if self._finished:
            _warn(
                f'nothing is left to train: iteration {self._iter} is done, and the config ends the training at '
                f'iteration {self._max_iters}; to go on, raise train_cfg.max_epochs or train_cfg.max_iters'
            )

    def _resume(self) -> None:
        """Read from the checkpoint which samples of the epoch are already trained."""
        if stateful := stateful_steps(self.dataloader.dataset, self.runner.model):
            _warn(f'{", ".join(stateful)} start anew, so this training will not equal an uninterrupted one')
        note = self.runner.message_hub.runtime_info.get(TRAINED)
        size = len(self.dataloader.sampler.dataset)
        if not note or note['iter'] != self._iter:
            if self._iter != self._epoch * len(self.dataloader):
                _warn(f'the checkpoint does not hold which samples are trained: epoch {self._epoch + 1} starts anew')
        elif note['of'] != size:
            _warn(f'the data set has {size} samples, {note["of"]} before: epoch {self._epoch + 1} starts anew')
        elif note['epoch'] == self._epoch or self._cut is None or self._iter < self._cut:
            # If max_iters cut the last epoch short, the checkpoint still counts that epoch as finished.
            self._epoch, self._trained = note['epoch'], note['samples']

    def _batches_left(self) -> int:
        """Number of remaining batches of the current epoch."""
        left, batch_size = self.dataloader.sampler.left(self._trained), self.dataloader.batch_size
        return left // batch_size if self.dataloader.drop_last else -(-left // batch_size)

    def _plan(self) -> None:
        """Compute the last iteration from the remaining epochs."""
        epochs = self._max_epochs - self._epoch
        left = self._batches_left() + (epochs - 1) * len(self.dataloader) if epochs > 0 else 0
        self._uncut = self._iter + left
        self._max_iters = self._uncut if self._cut is None else min(self._uncut, self._cut)


def _seed_step(seed: int, iteration: int) -> None:
    """Seed the random numbers that the model draws in one step, such as Faster R-CNN's sampling of proposals."""
    state = int(np.random.SeedSequence((seed, iteration)).generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)  # noqa: NPY002
    torch.manual_seed(state)


def _warn(line: str) -> None:
    print_log(line, logger='current', level=logging.WARNING)
