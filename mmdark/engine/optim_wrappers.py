"""Optimizer wrapper for bfloat16, and functions that treat one or several optimizers alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper, OptimWrapperDict, _ParamScheduler
from mmengine.runner import Runner
from torch import nn

ONLY = ''
"""Name of the optimizer if there is only one."""


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """``OptimWrapper`` whose forward passes run under autocast to bfloat16; weights and gradients stay float32.

    mmengine's ``AmpOptimWrapper`` needs a GPU and always adds a gradient scaler, which bfloat16 does not need.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enable autocast on the model's device."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


def wrappers_of(runner: Runner) -> dict[str, OptimWrapper]:
    """Name → optimizer wrapper; a single wrapper has the name :data:`ONLY`."""
    wrapper = runner.optim_wrapper
    return dict(wrapper.items()) if isinstance(wrapper, OptimWrapperDict) else {ONLY: wrapper}


def schedulers_of(runner: Runner) -> dict[str, list[_ParamScheduler]]:
    """Optimizer name → its schedulers."""
    schedulers = runner.param_schedulers or []
    return schedulers if isinstance(schedulers, dict) else {ONLY: schedulers}


def accumulated_batches(optim_wrapper: OptimWrapper | OptimWrapperDict) -> int:
    """Batches per optimizer step; 1 if there are several optimizers, as their values may differ."""
    return getattr(optim_wrapper, '_accumulative_counts', 1)
