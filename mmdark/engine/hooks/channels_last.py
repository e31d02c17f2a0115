"""Keep images in memory pixel by pixel, which tensor cores and CPUs with matrix units want."""

from __future__ import annotations

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class ChannelsLast(Hook):
    """Put the weights of all convolutions in channels-last order; what they compute follows, and stays the same.

    Checkpoints do not change: names, shapes and the order in memory are the usual ones.
    """

    def before_train(self, runner: Runner) -> None:
        """Reorder the model's four-dimensional weights in place.

        They are there by now, initialised or loaded: an earlier reordering would deal out the random numbers otherwise.
        """
        runner.model.to(memory_format=torch.channels_last)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Write the weights in the usual order, which some file formats (safetensors) insist on."""
        weights = checkpoint['state_dict']
        weights.update({name: value.contiguous() for name, value in weights.items()})
