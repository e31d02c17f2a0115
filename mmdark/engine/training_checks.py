"""Checks before the first iteration of a training."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from mmdet.models.data_preprocessors import BatchSyncRandomResize
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from torch import nn

from mmdark.engine.optim_wrappers import accumulated_batches, schedulers_of
from mmdark.errors import InputError


def check_interval(runner: Runner, epoch_end: int) -> None:
    """Reject checkpoints between two optimizer steps, because checkpoints do not contain accumulated gradients.

    ``epoch_end`` is the last iteration of the first epoch to be trained.

    Raises:
        InputError: such a checkpoint is planned.
    """
    counts = accumulated_batches(runner.optim_wrapper)
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.interval > 0:
            planned = (len(runner.train_dataloader) * hook.interval, epoch_end) if hook.by_epoch else (hook.interval,)
            if any(iteration % counts for iteration in planned):
                raise InputError(
                    f'default_hooks.checkpoint.interval={hook.interval} ({"epochs" if hook.by_epoch else "iterations"})'
                    f' would write checkpoints between two steps of optim_wrapper.accumulative_counts={counts} '
                    'iterations, and lose gradients on a resume; count iterations '
                    f'(default_hooks.checkpoint.by_epoch=False), in multiples of {counts}'
                )


def check_total_steps(runner: Runner) -> None:
    """Reject a training longer than its one-cycle schedule; mmengine would fail only at the end of the schedule.

    Raises:
        InputError: the training is longer than the schedule.
    """
    for scheduler in chain.from_iterable(schedulers_of(runner).values()):
        length, unit = (runner.max_epochs, 'epochs') if scheduler.by_epoch else (runner.max_iters, 'iterations')
        total = getattr(scheduler, 'total_steps', length)
        if min(length, scheduler.end - 1) - scheduler.begin > total:
            raise InputError(
                f'{type(scheduler).__name__} ends after total_steps={total}, the training after {length} {unit}; set '
                f'param_scheduler.total_steps={length}, too'
            )


def stateful_steps(dataset: object, model: nn.Module) -> list[str]:
    """Names of transforms and batch augments with state that checkpoints do not contain.

    ``CachedMosaic`` and ``CachedMixUp`` reuse images of earlier samples; ``BatchSyncRandomResize`` keeps its size for
    several iterations.
    """
    cached = {type(step).__name__ for step in _transforms(dataset) if hasattr(step, 'results_cache')}
    resized = {type(part).__name__ for part in model.modules() if isinstance(part, BatchSyncRandomResize)}
    return sorted(cached | resized)


def _transforms(dataset: object) -> Iterator[object]:
    for inner in (getattr(dataset, 'dataset', None), *getattr(dataset, 'datasets', ())):
        if inner is not None:
            yield from _transforms(inner)
    pipeline = getattr(dataset, 'pipeline', ())
    yield from getattr(pipeline, 'transforms', pipeline)
