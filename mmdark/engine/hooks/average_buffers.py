"""Give all processes the same batch norm statistics, so that what is validated is what is saved."""

from __future__ import annotations

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.nn import Parameter

from .strict_checkpoint import detector_of


@HOOKS.register_module()
class AverageBuffers(Hook):
    """Replace the running statistics of batch norm by their mean over the processes, after each training iteration.

    Each process has statistics of its own images, each validates its part of the images, and the checkpoint holds
    those of the first process. mmengine's ``SyncBuffersHook`` takes the mean before a validation only, so a training
    that resumes from a checkpoint in between would end with other numbers.

    The mean is taken of all floating-point buffers that a checkpoint holds, in float64, where a buffer that is the
    same everywhere keeps its bits. A model without such buffers, or a single process, costs nothing.
    """

    priority = 'VERY_HIGH'  # before a moving average copies them, and before any checkpoint

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Exchange all buffers in one message."""
        if get_world_size() == 1:
            return
        saved = detector_of(runner).state_dict(keep_vars=True).values()  # not by name: DAI-Net leaves out a prefix
        buffers = [value for value in saved if not isinstance(value, Parameter) and value.is_floating_point()]
        if not buffers:
            return
        numbers = torch.cat([value.flatten() for value in buffers]).double()
        all_reduce(numbers, 'mean')
        for value, mean in zip(buffers, numbers.split([value.numel() for value in buffers]), strict=True):
            value.copy_(mean.view_as(value))
