"""Channels-last memory order, which is faster on tensor cores and on CPUs with matrix units."""

from __future__ import annotations

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import apply_to
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from mmdark.engine.optim_wrappers import wrappers_of


@HOOKS.register_module()
class ChannelsLast(Hook):
    """Store convolution weights in channels-last order; activations then use it too. Results do not change.

    Checkpoints keep the usual names, shapes and memory order.
    """

    def before_train(self, runner: Runner) -> None:
        """Reorder the weights, and the momenta of a resumed optimizer, in place.

        Reordering earlier would change the random initialisation.
        """
        runner.model.to(memory_format=torch.channels_last)
        for module in runner.model.modules():
            if isinstance(module, DistributedDataParallel) and hasattr(module, 'reducer'):
                # The gradient buckets still have the old memory order, which would permute the exchanged gradients.
                # Getting and setting the state rebuilds the buckets and keeps references to the wrapper valid.
                module.__setstate__(module.__getstate__())
        for wrapper in wrappers_of(runner).values():
            for state in wrapper.optimizer.state.values():  # fused optimizers need the order of the weights
                for name, value in state.items():
                    if torch.is_tensor(value) and value.dim() == 4:
                        state[name] = value.contiguous(memory_format=torch.channels_last)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Convert weights and optimizer state to the usual order, which safetensors and fused optimizers need."""
        weights = checkpoint['state_dict']
        weights.update({name: value.contiguous() for name, value in weights.items()})
        if 'optimizer' in checkpoint:
            checkpoint['optimizer'] = apply_to(checkpoint['optimizer'], torch.is_tensor, Tensor.contiguous)
