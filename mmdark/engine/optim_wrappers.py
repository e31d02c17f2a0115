"""Optimizer wrappers: bfloat16 training, and one way to look at one or several of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper, OptimWrapperDict, _ParamScheduler
from mmengine.runner import Runner
from torch import nn

ONLY = ''
"""Name of the optimizer where there is only one."""


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """``OptimWrapper`` whose forward passes run under autocast to bfloat16; weights and gradients stay float32.

    mmengine's ``AmpOptimWrapper`` needs a GPU and always adds a gradient scaler, which bfloat16 does not need.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast on the device of the model."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


def wrappers_of(runner: Runner) -> dict[str, OptimWrapper]:
    """Name → optimizer wrapper; the name of a single one is :data:`ONLY`."""
    wrapper = runner.optim_wrapper
    return dict(wrapper.items()) if isinstance(wrapper, OptimWrapperDict) else {ONLY: wrapper}


def schedulers_of(runner: Runner) -> dict[str, list[_ParamScheduler]]:
    """Name of the optimizer → its schedulers."""
    schedulers = runner.param_schedulers or []
    return schedulers if isinstance(schedulers, dict) else {ONLY: schedulers}


def accumulated_batches(optim_wrapper: OptimWrapper | OptimWrapperDict) -> int:
    """Batches per optimizer step; 1 for several optimizers, whose numbers may differ."""
    return getattr(optim_wrapper, '_accumulative_counts', 1)
