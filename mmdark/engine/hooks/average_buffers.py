"""Keep batch norm statistics equal in all processes."""

from __future__ import annotations

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.nn import Parameter

from ..trained_model import detector_of


@HOOKS.register_module()
class AverageBuffers(Hook):
    """Average the running statistics of batch norm over the processes after each training iteration.

    Each process computes statistics of its own images and uses them in validation, but the checkpoint contains only the
    statistics of the first process. mmengine's ``SyncBuffersHook`` averages only before a validation, so a training
    resumed in between would give different results.

    All floating-point buffers of the state dict are averaged, in float64, so that equal buffers stay bit-identical.
    """

    priority = 'VERY_HIGH'  # before an EMA hook copies the buffers, and before any checkpoint

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Exchange all buffers in one message."""
        if get_world_size() == 1:
            return
        saved = detector_of(runner).state_dict(keep_vars=True).values()
        buffers = [value for value in saved if not isinstance(value, Parameter) and value.is_floating_point()]
        if not buffers:
            return
        numbers = torch.cat([value.flatten() for value in buffers]).double()
        all_reduce(numbers, 'mean')
        for value, mean in zip(buffers, numbers.split([value.numel() for value in buffers]), strict=True):
            value.copy_(mean.view_as(value))
