"""The published rule for the learning rate: it grows with the square root of the images in a step."""

from __future__ import annotations

import math
from collections.abc import Iterable

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner

from mmdark.engine.accumulation import accumulated_batches
from mmdark.errors import InputError

GROUP_KEYS = ('lr', 'initial_lr', 'max_lr', 'min_lr')
SCHEDULER_KEYS = ('base_values', '_last_value', 'eta_min', 'eta_max', 'min_values')
"""What mmengine's schedulers hold that is a learning rate, not a ratio of two."""


@HOOKS.register_module()
class SqrtScaleLR(Hook):
    """Multiply all learning rates by ``round(sqrt(images in a step / base_batch_size), 4)``, as DAI-Net does.

    Images in a step are the batch size times the processes times ``accumulative_counts`` of the optimizer's wrapper.
    mmengine's ``auto_scale_lr`` has the same keys and a linear rule, and leaves the limits of schedulers
    (``eta_min``, ``eta_max``) as they are; here the whole curve is multiplied.

    A resumed training is scaled in the same way, by the images that a step has now.

    Args:
        enable: False does nothing.
        base_batch_size: images in a step for which the learning rates of the config are meant.

    Raises:
        InputError: ``base_batch_size`` is not positive.
    """

    def __init__(self, enable: bool = True, base_batch_size: int = 4) -> None:
        if base_batch_size <= 0:
            raise InputError(f'SqrtScaleLR: base_batch_size={base_batch_size} must be positive')
        self.enable = enable
        self.base_batch_size = base_batch_size
        self.world_batch: int | None = None

    def before_run(self, runner: Runner) -> None:
        """Scale the optimizer and its schedulers, and print the arithmetic.

        Raises:
            InputError: mmengine's linear rule is on, too, or there are several optimizers.
        """
        optim_wrapper = runner.optim_wrapper
        if not self.enable or not isinstance(runner._train_loop, BaseLoop) or self.world_batch is not None:
            return  # also called by a test, alone or after the training
        if (runner.auto_scale_lr or {}).get('enable', False):
            raise InputError(
                'auto_scale_lr.enable=True (linear) and default_hooks.sqrt_scale_lr.enable=True (square root) would '
                'both scale the learning rate; set one of them to False'
            )
        if not isinstance(optim_wrapper, OptimWrapper):
            raise InputError(
                f'SqrtScaleLR works with one optimizer, not with {type(optim_wrapper).__name__}; set '
                'default_hooks.sqrt_scale_lr.enable=False'
            )
        batch, accumulated = runner.train_dataloader.batch_sampler.batch_size, accumulated_batches(optim_wrapper)
        self.world_batch = batch * runner.world_size * accumulated
        factor = round(math.sqrt(self.world_batch / self.base_batch_size), 4)
        lr = _base_rate(optim_wrapper.param_groups[-1])
        _scale(optim_wrapper.param_groups, (vars(scheduler) for scheduler in runner.param_schedulers or ()), factor)
        print_log(
            f'learning rate {lr:.6g} x {factor:g} = {lr * factor:.6g}, for {batch} images x {runner.world_size} '
            f'processes x {accumulated} accumulated = {self.world_batch} in a step: sqrt({self.world_batch} / '
            f'{self.base_batch_size}) = {factor:g}',
            logger='current',
        )


def _base_rate(group: dict) -> float:
    """The rate that the schedules start from, or go up to."""
    return group.get('max_lr', group.get('initial_lr', group['lr']))


def _scale(groups: Iterable[dict], schedulers: Iterable[dict], factor: float) -> None:
    """Multiply what is a learning rate in an optimizer's groups and in its schedulers' attributes."""
    for group in groups:
        group.update({key: group[key] * factor for key in GROUP_KEYS if key in group})
    for state in schedulers:
        if state['param_name'] == 'lr':
            state.update({key: _times(state[key], factor) for key in SCHEDULER_KEYS if state.get(key) is not None})


def _times(value: float | list[float], factor: float) -> float | list[float]:
    return [each * factor for each in value] if isinstance(value, list) else value * factor
