"""What a training could not do, or not do well, found before its first iteration."""

from __future__ import annotations

from itertools import chain

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmdark.engine.accumulation import accumulated_batches
from mmdark.engine.optimizers import schedulers_of
from mmdark.errors import InputError


def check_interval(runner: Runner, epoch_end: int) -> None:
    """Gradients that wait for their step are in no checkpoint: none may be planned there.

    Args:
        runner: the training.
        epoch_end: the iteration with which its first epoch ends.

    Raises:
        InputError: a checkpoint would be written between two steps of the optimizer.
    """
    accumulative_counts = accumulated_batches(runner.optim_wrapper)
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.interval > 0:
            lengths = (len(runner.train_dataloader) * hook.interval, epoch_end) if hook.by_epoch else (hook.interval,)
            if any(length % accumulative_counts for length in lengths):
                raise InputError(
                    f'default_hooks.checkpoint.interval={hook.interval} ({"epochs" if hook.by_epoch else "iterations"})'
                    f' would write checkpoints between two steps of optim_wrapper.accumulative_counts='
                    f'{accumulative_counts} iterations, and lose gradients on a resume; count iterations '
                    f'(default_hooks.checkpoint.by_epoch=False), in multiples of {accumulative_counts}'
                )


def check_total_steps(runner: Runner) -> None:
    """A one-cycle schedule cannot step beyond its end, which mmengine says only when it is reached.

    Raises:
        InputError: the training is longer than a one-cycle schedule.
    """
    for scheduler in chain.from_iterable(schedulers_of(runner).values()):
        length, unit = (runner.max_epochs, 'epochs') if scheduler.by_epoch else (runner.max_iters, 'iterations')
        total = getattr(scheduler, 'total_steps', length)
        if min(length, scheduler.end - 1) - scheduler.begin > total:
            raise InputError(
                f'{type(scheduler).__name__} ends after total_steps={total}, the training after {length} {unit}; set '
                f'param_scheduler.total_steps={length}, too'
            )
