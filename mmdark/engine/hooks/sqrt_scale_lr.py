"""The published scaling rule: the learning rate is proportional to the square root of the images per step."""

from __future__ import annotations

import math

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner

from mmdark.engine.optim_wrappers import accumulated_batches
from mmdark.errors import InputError

GROUP_KEYS = ('lr', 'initial_lr', 'max_lr', 'min_lr')
SCHEDULER_KEYS = ('base_values', '_last_value', 'eta_min', 'eta_max', 'min_values')
"""Attributes of mmengine's schedulers that hold learning rates."""


@HOOKS.register_module()
class SqrtScaleLR(Hook):
    """Multiply all learning rates by ``round(sqrt(images per step / base_batch_size), 4)``, as DAI-Net does.

    Images per step are batch size times number of processes times ``accumulative_counts``. mmengine's ``auto_scale_lr``
    scales linearly and does not scale the limits of schedulers (``eta_min``, ``eta_max``). A resumed training is scaled
    by its current number of images per step.

    Args:
        enable: if False, the hook does nothing.
        base_batch_size: number of images per step for which the learning rates in the config are chosen.

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
        """Scale the learning rates of the optimizer and its schedulers, and log the calculation.

        Raises:
            InputError: mmengine's linear scaling is also enabled, or there are several optimizers.
        """
        optim_wrapper = runner.optim_wrapper
        if not self.enable or not isinstance(runner._train_loop, BaseLoop) or self.world_batch is not None:
            return  # a test also calls this method, alone or after a training
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
        group = optim_wrapper.param_groups[-1]
        lr = group.get('max_lr', group.get('initial_lr', group['lr']))
        for group in optim_wrapper.param_groups:
            _multiply(group, GROUP_KEYS, factor)
        for scheduler in runner.param_schedulers or ():
            if scheduler.param_name == 'lr':
                _multiply(vars(scheduler), SCHEDULER_KEYS, factor)
        print_log(
            f'learning rate {lr:.6g} x {factor:g} = {lr * factor:.6g}, for {batch} images x {runner.world_size} '
            f'processes x {accumulated} accumulated = {self.world_batch} in a step: sqrt({self.world_batch} / '
            f'{self.base_batch_size}) = {factor:g}',
            logger='current',
        )


def _multiply(values: dict, keys: tuple[str, ...], factor: float) -> None:
    for key in keys:
        if (value := values.get(key)) is not None:
            values[key] = [each * factor for each in value] if isinstance(value, list) else value * factor
