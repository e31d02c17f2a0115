"""A resumed training does what its config says; what it has learned and counted comes from the checkpoint."""

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
from mmdark.engine.optimizers import ONLY, schedulers_of, wrappers_of
from mmdark.engine.trained_settings import changed_settings, read_settings
from mmdark.errors import InputError

PROCESSES = 'processes'
"""In the meta information of a checkpoint: how many trained it."""
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
"""How settings begin that make another training."""
PLATEAU = ('best', 'num_bad_epochs', 'cooldown_counter', 'last_step')
"""What a schedule that follows a metric has counted."""
PROBE = (2, 3)
"""Shape of a parameter that an optimizer is tried on."""


@HOOKS.register_module()
class ResumeByConfig(Hook):
    """Resume with the optimizer's settings and the schedules of the config, and list what differs from the checkpoint.

    mmengine takes learning rates, decays, momenta and schedules from the checkpoint, whatever the config says. Here the
    checkpoint gives the state of the optimizer (momenta, averages, counts of steps) and the place in the training. The
    schedules step anew up to this place, in the order of the training, so each rate is the one that a training with
    this config has there, to the last bit. ``ReduceOnPlateau`` goes on from the checkpoint's counts and its reduced
    rates, times new / old initial rate.
    """

    def __init__(self) -> None:
        self.before: dict[str, tuple[list[dict], list[dict]]] = {}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note what no config holds."""
        checkpoint['meta'][PROCESSES] = runner.world_size

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Put the settings of the config into the checkpoint, before mmengine takes them from there.

        Raises:
            InputError: the state of the optimizer is of other parameters.
        """
        if not runner._resume or 'optimizer' not in checkpoint or not isinstance(runner._train_loop, BaseLoop):
            return
        self._compare(runner, checkpoint['meta'])
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
        """Bring the schedules to where the training stands."""
        for name, (groups, states) in self.before.items():
            schedulers = schedulers_of(runner)[name] if runner.param_schedulers else []
            _step_anew(schedulers, runner.train_loop)
            for scheduler, state in zip(schedulers, states, strict=False):
                if getattr(scheduler, 'need_val_args', False) and PLATEAU[1] in state:
                    _reduce_again(scheduler, state, groups)
        self.before = {}

    def _compare(self, runner: Runner, meta: dict[str, Any]) -> None:
        """Log what differs from the checkpoint."""
        new = read_settings(runner.cfg.pretty_text)
        old = read_settings(meta.get(CONFIG_TEXT, '')) or dict(new)
        if isinstance(runner.train_loop, ResumableEpochLoop):
            runner.train_loop.former_batch_size = old.get('train_dataloader', {}).get('batch_size')
        new[PROCESSES] = runner.world_size
        old[PROCESSES] = meta.get(PROCESSES, runner.world_size)
        lines = [line for line in changed_settings(old, new) if line.startswith(LISTED)]
        if lines:
            runner.logger.info(
                f'settings that differ from the checkpoint, of which the new ones hold (old → new): {", ".join(lines)}'
            )


def _keep_settings(wrapper: OptimWrapper, state: dict[str, Any], runner: Runner) -> None:
    """Lay the groups of the config over a state dict; the numbers of parameters stay the checkpoint's."""
    groups, kept = wrapper.optimizer.param_groups, _kept_of_a_parameter(wrapper.optimizer)
    numbers = iter([number for group in state['param_groups'] for number in group['params']])
    if not _same_parameters(groups, state, kept):
        raise InputError(
            f'{runner._load_from} has the state of an optimizer of other parameters: give the config it was trained '
            f'with, or start from its weights alone with --cfg-options load_from={runner._load_from}'
        )
    if not all(kept.keys() <= of_one.keys() for of_one in state['state'].values()):
        runner.logger.warning(
            f'{type(wrapper.optimizer).__name__} keeps something else of a parameter than the checkpoint does: the '
            'state of the optimizer starts anew'
        )
        state['state'] = {}
    state['param_groups'] = [{**group, 'params': [next(numbers) for _ in group['params']]} for group in groups]
    state['base_param_settings'] = wrapper.base_param_settings


def _same_parameters(groups: list[dict], state: dict[str, Any], kept: dict[str, Any]) -> bool:
    """Whether parameters agree in number, and what the checkpoint keeps of each fits it.

    Args:
        groups: of the optimizer.
        state: of the checkpoint.
        kept: see :func:`_kept_of_a_parameter`. Anything else that has a shape must have that of its parameter where
            the parameters are grouped in another way.
    """
    old = state['param_groups']
    numbers = [number for group in old for number in group['params']]
    parameters = [parameter for group in groups for parameter in group['params']]
    if len(numbers) != len(parameters):
        return False
    like_before = [len(group['params']) for group in old] == [len(group['params']) for group in groups]
    return all(
        _fits(value, kept[name], parameter)
        if name in kept
        else like_before or not isinstance(value, Tensor) or not value.ndim or value.shape == parameter.shape
        for number, parameter in zip(numbers, parameters, strict=True)
        for name, value in state['state'].get(number, {}).items()
    )


def _fits(value: object, sample: object, parameter: Tensor) -> bool:
    """Whether a value that is kept of a parameter is what the optimizer needs there; None is what it does not have yet.

    Args:
        value: of the checkpoint.
        sample: what the optimizer keeps of a parameter of the shape :data:`PROBE`.
        parameter: whose value it is.
    """
    if not isinstance(sample, Tensor) or value is None:
        return True
    if sample.ndim == 0:  # torch took plain numbers before
        return isinstance(value, Real) or (isinstance(value, Tensor) and value.numel() == 1)
    return isinstance(value, Tensor) and (sample.shape != PROBE or value.shape == parameter.shape)


def _kept_of_a_parameter(optimizer: Optimizer) -> dict[str, Any]:
    """What a step of an optimizer of torch keeps of a parameter; nothing of others, which are not asked."""
    kind = type(optimizer)
    if not kind.__module__.startswith('torch.optim'):
        return {}
    names = inspect.signature(kind).parameters
    parameter = torch.nn.Parameter(torch.zeros(PROBE))
    parameter.grad = torch.ones(PROBE)
    probe = kind([parameter], **{name: value for name, value in optimizer.defaults.items() if name in names})
    probe.step(lambda: 0.0)
    return dict(probe.state[parameter])


def _step_anew(schedulers: list[_ParamScheduler], loop: BaseLoop) -> None:
    """Let schedules that were just built take all steps that they would have taken by now.

    In each iteration those by iterations step first, as in training. Epochs that are done have equal lengths here.
    """
    resumable = isinstance(loop, ResumableEpochLoop)
    epochs = max(1, loop.iter - loop.batches_done) if resumable else max(1, loop.iter)
    clocks = [
        (scheduler, loop.epoch, epochs)
        if scheduler.by_epoch
        else (scheduler, loop.steps_of(scheduler) if resumable else loop.iter, loop.iter)
        for scheduler in sorted(schedulers, key=lambda scheduler: scheduler.by_epoch)
    ]
    loud = [scheduler for scheduler in schedulers if scheduler.verbose]
    for scheduler in loud:
        scheduler.verbose = False
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # no optimizer steps in between
        for iteration in range(1, loop.iter + 1):
            for scheduler, steps, length in clocks:
                due = min(steps, iteration * steps // length) - min(steps, (iteration - 1) * steps // length)
                for _ in range(due):
                    scheduler.step()
    for scheduler in loud:
        scheduler.verbose = True


def _reduce_again(scheduler: _ParamScheduler, state: dict[str, Any], before: list[dict]) -> None:
    """Go on with what a schedule that follows a metric has counted and reduced."""
    vars(scheduler).update({name: state[name] for name in PLATEAU})
    name, initial = scheduler.param_name, f'initial_{scheduler.param_name}'
    groups = scheduler.optimizer.param_groups
    if len(groups) == len(before):
        for group, old in zip(groups, before, strict=True):
            group[name] = old[name] * (group[initial] / old[initial])
