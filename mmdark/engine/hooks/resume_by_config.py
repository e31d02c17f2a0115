"""Resume with the settings of the config and the state of the checkpoint."""

from __future__ import annotations

import inspect
import warnings
from numbers import Real
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, _ParamScheduler
from mmengine.runner import BaseLoop, Runner
from torch import Tensor
from torch.optim import Optimizer

from mmdark.compat.checkpoint_contents import CONFIG_TEXT
from mmdark.engine.epoch_loop import ResumableEpochLoop
from mmdark.engine.optim_wrappers import ONLY, schedulers_of, wrappers_of
from mmdark.engine.trained_settings import changed_settings, read_settings
from mmdark.errors import InputError

PROCESSES = 'processes'
"""Key in the ``meta`` of a checkpoint: number of processes that trained it."""
LISTED = (
    'model.',
    'train_cfg.',
    'train_dataloader.',
    'optim_wrapper.',
    'param_scheduler',
    'auto_scale_lr',
    'custom_hooks',
    'default_hooks.sqrt_scale_lr.',
    PROCESSES,
)
"""Prefixes of the settings whose changes are logged, because they affect the training."""
PLATEAU = ('best', 'num_bad_epochs', 'cooldown_counter', 'last_step')
"""State of ``ReduceOnPlateau`` that is restored."""
PROBE = (2, 3)
"""Shape of the dummy parameter with which an optimizer's state is inspected."""


@HOOKS.register_module()
class ResumeByConfig(Hook):
    """Resume with the optimizer settings and schedules of the config, and log what differs from the checkpoint.

    mmengine takes learning rates, weight decays, momenta and schedules from the checkpoint and ignores changes in the
    config. With this hook, only the optimizer state (momentum buffers, averages, step counts) and the epoch and
    iteration come from the checkpoint. The schedules are stepped up to this iteration, so each learning rate is
    bit-identical to that of a training with this config from the start. ``ReduceOnPlateau`` continues with the counts
    and reduced rates of the checkpoint; the rates are multiplied by new / old initial rate.
    """

    def __init__(self) -> None:
        self.before: dict[str, tuple[list[dict], list[dict]]] = {}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Record the number of processes."""
        checkpoint['meta'][PROCESSES] = runner.world_size

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Replace the settings in the checkpoint by those of the config, before mmengine loads them.

        Raises:
            InputError: the optimizer state belongs to other parameters.
        """
        if not runner._resume or 'optimizer' not in checkpoint or not isinstance(runner._train_loop, BaseLoop):
            return
        _log_differences(runner, checkpoint['meta'])
        schedules = checkpoint.pop('param_schedulers', [])
        for name, wrapper in wrappers_of(runner).items():
            state = checkpoint['optimizer'] if name == ONLY else checkpoint['optimizer'].get(name, {})
            if 'param_groups' not in state:
                raise InputError(f'{runner._load_from} has other optimizers than the config: give its own config')
            base = state.get('base_param_settings')
            groups = [*state['param_groups'], *([base] if base else [])]
            self.before[name] = groups, schedules if name == ONLY else dict(schedules).get(name, [])
            _keep_settings(wrapper, state, runner)

    def before_train(self, runner: Runner) -> None:
        """Step the schedules up to the resumed iteration."""
        for name, (groups, states) in self.before.items():
            schedulers = schedulers_of(runner)[name] if runner.param_schedulers else []
            _step_to_iteration(schedulers, runner.train_loop)
            for scheduler, state in zip(schedulers, states, strict=False):
                if getattr(scheduler, 'need_val_args', False) and PLATEAU[1] in state:
                    _restore_plateau(scheduler, state, groups)
        self.before = {}


def _log_differences(runner: Runner, meta: dict[str, Any]) -> None:
    new = read_settings(runner.cfg.pretty_text) | {PROCESSES: runner.world_size}
    old = {PROCESSES: runner.world_size} | (read_settings(meta.get(CONFIG_TEXT, '')) or new)
    old[PROCESSES] = meta.get(PROCESSES, runner.world_size)
    lines = [line for line in changed_settings(old, new) if line.startswith(LISTED)]
    if lines:
        runner.logger.info(
            f'settings that differ from the checkpoint, of which the new ones hold (old → new): {", ".join(lines)}'
        )


def _keep_settings(wrapper: OptimWrapper, state: dict[str, Any], runner: Runner) -> None:
    """Replace the parameter groups in a checkpoint's optimizer state by those of the config."""
    groups, sample = wrapper.optimizer.param_groups, _sample_state(wrapper.optimizer)
    numbers = [number for group in state['param_groups'] for number in group['params']]
    parameters = [parameter for group in groups for parameter in group['params']]
    if len(numbers) != len(parameters) or not all(
        _fits(value, sample, name, parameter)
        for number, parameter in zip(numbers, parameters, strict=True)
        for name, value in state['state'].get(number, {}).items()
    ):
        raise InputError(
            f'{runner._load_from} has the state of an optimizer of other parameters: give the config it was trained '
            f'with, or start from its weights alone with --cfg-options load_from={runner._load_from}'
        )
    if not all(sample.keys() <= entry.keys() for entry in state['state'].values()):
        runner.logger.warning(
            f'{type(wrapper.optimizer).__name__} keeps something else of a parameter than the checkpoint does: the '
            'state of the optimizer starts anew'
        )
        state['state'] = {}
    following = iter(numbers)
    state['param_groups'] = [{**group, 'params': [next(following) for _ in group['params']]} for group in groups]
    state['base_param_settings'] = wrapper.base_param_settings


def _sample_state(optimizer: Optimizer) -> dict[str, Any]:
    """Optimizer state of a parameter of shape :data:`PROBE` after one step; empty if it is not a torch optimizer."""
    kind = type(optimizer)
    if not kind.__module__.startswith('torch.optim'):
        return {}
    names = inspect.signature(kind).parameters
    parameter = torch.nn.Parameter(torch.zeros(PROBE))
    parameter.grad = torch.ones(PROBE)
    probe = kind([parameter], **{name: value for name, value in optimizer.defaults.items() if name in names})
    probe.step(lambda: 0.0)
    return dict(probe.state[parameter])


def _fits(value: object, sample: dict[str, Any], name: str, parameter: Tensor) -> bool:
    """Whether a value in the checkpoint's optimizer state has the shape that the optimizer needs for ``parameter``."""
    wanted = sample.get(name)
    if name not in sample:  # not a torch optimizer, or not the optimizer of the config
        return not sample or not isinstance(value, Tensor) or not value.ndim or value.shape == parameter.shape
    if not isinstance(wanted, Tensor) or value is None:
        return True
    if wanted.ndim == 0:  # older versions of torch store a plain number
        return isinstance(value, Real) or (isinstance(value, Tensor) and value.numel() == 1)
    return isinstance(value, Tensor) and (wanted.shape != PROBE or value.shape == parameter.shape)


def _step_to_iteration(schedulers: list[_ParamScheduler], loop: BaseLoop) -> None:
    """Step new schedulers as often as they would have been stepped by now.

    In each iteration, iteration-based schedulers step before epoch-based ones. All finished epochs are assumed to have
    the same length.
    """
    resumable = isinstance(loop, ResumableEpochLoop)
    epochs = max(1, loop.iter - loop.batches_done) if resumable else max(1, loop.iter)
    clocks = [
        (scheduler, loop.epoch, epochs)
        if scheduler.by_epoch
        else (scheduler, loop.steps_of(scheduler) if resumable else loop.iter, loop.iter)
        for scheduler in sorted(schedulers, key=lambda scheduler: scheduler.by_epoch)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch warns because the optimizer does not step in between
        for iteration in range(1, loop.iter + 1):
            for scheduler, steps, length in clocks:
                due = min(steps, iteration * steps // length) - min(steps, (iteration - 1) * steps // length)
                for _ in range(due):
                    scheduler.step()


def _restore_plateau(scheduler: _ParamScheduler, state: dict[str, Any], before: list[dict]) -> None:
    vars(scheduler).update({name: state[name] for name in PLATEAU})
    name, initial = scheduler.param_name, f'initial_{scheduler.param_name}'
    groups = scheduler.optimizer.param_groups
    if len(groups) == len(before):
        for group, old in zip(groups, before, strict=True):
            group[name] = old[name] * (group[initial] / old[initial])
