"""Epochs that can end, and go on, in their middle, and whose randomness is counted, not drawn."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

import torch
from mmdet.registry import DATA_SAMPLERS, LOOPS
from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log
from mmengine.optim import _ParamScheduler
from mmengine.runner import EpochBasedTrainLoop

from mmdark.engine.step_state import forgotten_by_a_resume, seed_step
from mmdark.engine.training_checks import check_interval, check_total_steps
from mmdark.errors import InputError

TRAINED = 'trained_samples'
"""In the message hub: how many samples of which epoch are trained, over all processes."""


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
    """``DefaultSampler`` of counted indices whose next epoch may leave out its first ``start`` samples.

    ``start`` counts the samples of all processes: their order depends on seed and epoch alone, and what is left of them
    is dealt out to the processes that there are now.
    """

    start = 0

    def __iter__(self) -> Iterator[CountedIndex]:
        """The indices of one epoch; ``start`` is used up."""
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
        """How many samples this process gets after the first ``start`` of an epoch."""
        rank = 0 if self.round_up else self.rank
        return len(range(start + rank, len(self.dataset), self.world_size))


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """``EpochBasedTrainLoop`` that resumes within an epoch and may be cut at a number of iterations.

    mmengine's loop begins the epoch anew when it resumes from a checkpoint written in its middle. This one notes the
    samples of the epoch that are trained, and goes on with the others, in batches and on processes of any number: each
    sample of an epoch is trained once. The sampler must be a :class:`ResumableSampler`.

    The data set of a dataloader that is built here is wrapped into a ``CountedDataset``: the randomness of a sample
    depends on (seed, epoch, index) alone, whatever the number of workers, processes and resumes. What the model draws
    in a step depends on (seed, iteration) alone.

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
        self.former_batch_size: int | None = None
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
        """Batches of the running epoch before its next one, as if it had always had the batches of today."""
        return len(self.dataloader) - self._batches_left()

    def steps_of(self, scheduler: _ParamScheduler) -> int:
        """How often a schedule by iterations has stepped by now.

        Once an iteration. A schedule that spans all epochs, by default or because it counts epochs
        (``convert_to_iter_based``), stands where the epochs stand, also after a resume with longer or shorter ones.
        """
        planned = self._max_epochs * len(self.dataloader)
        if scheduler.end != planned:
            return self._iter
        return max(0, planned - self._uncut + self._iter)

    @property
    def _finished(self) -> bool:
        return self._epoch >= self._max_epochs or self._iter >= self._max_iters

    def run(self) -> torch.nn.Module:
        """Train, with a validation every ``val_interval`` epochs and at the end.

        Raises:
            InputError: a checkpoint would be written between two steps of the optimizer, or a one-cycle schedule is
                shorter than the training.
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
        done = self.batches_done
        self.dataloader.sampler.start = self._trained
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for batch_idx, data_batch in enumerate(self.dataloader, start=done):
            self.run_iter(batch_idx, data_batch)
            if self._iter >= self._max_iters:
                break
        if not self._batches_left():
            self._note(self._iter, self._epoch + 1, 0)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Train on one batch, and note its samples for the checkpoint that may follow."""
        sampler = self.dataloader.sampler
        step = self.dataloader.batch_size * sampler.world_size
        self._note(self._iter + 1, self._epoch, min(self._trained + step, len(sampler.dataset)))
        seed_step(self._seed, self._iter)
        super().run_iter(idx, data_batch)

    def _note(self, iteration: int, epoch: int, samples: int) -> None:
        self._trained = samples
        note = dict(iter=iteration, epoch=epoch, samples=samples, of=len(self.dataloader.sampler.dataset))
        self.runner.message_hub.update_info(TRAINED, note)

    def _prepare(self) -> None:
        """Take over what a checkpoint has changed since this loop was built."""
        sampler, optim_wrapper = self.dataloader.sampler, self.runner.optim_wrapper
        if sampler.seed == self._seed:
            sampler.seed = self._seed = self.runner.seed
        planned = self._max_iters
        if self._iter:
            self._go_on()
        self._plan()
        if self._max_iters != planned:
            optim_wrapper.initialize_count_status(self.runner.model, self._iter, self._max_iters)
        check_interval(self.runner, self._iter + self._batches_left())
        check_total_steps(self.runner)
        if self._finished:
            print_log(
                f'nothing is left to train: iteration {self._iter} is done, and the config ends the training at '
                f'iteration {self._max_iters}; to go on, raise train_cfg.max_epochs or train_cfg.max_iters',
                logger='current',
                level=logging.WARNING,
            )

    def _go_on(self) -> None:
        """Find which samples of its epoch a checkpoint has trained, and say what it does not hold."""
        if forgotten := forgotten_by_a_resume(self.dataloader.dataset, self.runner.model):
            _warn(f'{", ".join(forgotten)} start anew, so this training will not equal an uninterrupted one')
        note = self.runner.message_hub.runtime_info.get(TRAINED)
        size = len(self.dataloader.sampler.dataset)
        if not note or note['iter'] != self._iter:
            self._trained = self._guess()
        elif note['of'] != size:
            _warn(f'the data set has {size} samples, {note["of"]} before: epoch {self._epoch + 1} starts anew')
        elif note['epoch'] == self._epoch or self._cut is None or self._iter < self._cut:
            # A checkpoint at the end counts an epoch that was cut as a whole one.
            self._epoch, self._trained = note['epoch'], note['samples']

    def _guess(self) -> int:
        """What a checkpoint without a note has trained of its epoch, by its iteration."""
        sampler, batch_size = self.dataloader.sampler, self.former_batch_size or self.dataloader.batch_size
        length = self._batches_left(0, batch_size)
        done = self._iter - self._epoch * length
        where = (
            f'iteration {self._iter} of the checkpoint, in batches of {batch_size} on {sampler.world_size} processes,'
        )
        if not 0 <= done <= length:
            _warn(f'{where} does not lie in epoch {self._epoch + 1}: the epoch starts anew')
            return 0
        samples = min(done * batch_size * sampler.world_size, len(sampler.dataset))
        _warn(f'{where} is taken for {samples} samples of epoch {self._epoch + 1}; an older mmdark did not note them')
        return samples

    def _batches_left(self, trained: int | None = None, batch_size: int | None = None) -> int:
        """Batches of an epoch that follow on its first ``trained`` samples; by default, on those that are trained."""
        left = self.dataloader.sampler.left(self._trained if trained is None else trained)
        batch_size = batch_size or self.dataloader.batch_size
        return left // batch_size if self.dataloader.drop_last else -(-left // batch_size)

    def _plan(self) -> None:
        """Set the last iteration by what is left of the epochs."""
        epochs = self._max_epochs - self._epoch
        left = self._batches_left() + (epochs - 1) * len(self.dataloader) if epochs > 0 else 0
        self._uncut = self._iter + left
        self._max_iters = self._uncut if self._cut is None else min(self._uncut, self._cut)


def _warn(line: str) -> None:
    print_log(line, logger='current', level=logging.WARNING)
