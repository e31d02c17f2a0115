"""Channels-last memory order, which tensor cores and CPUs with matrix units prefer."""

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
    """Store the weights of convolutions in channels-last order; activations follow, results stay the same.

    Checkpoints keep the usual names, shapes and memory order.
    """

    def before_train(self, runner: Runner) -> None:
        """Reorder the weights in place, and the momenta of a resumed optimizer.

        Reordering earlier would change the random initialisation.
        """
        runner.model.to(memory_format=torch.channels_last)
        for module in runner.model.modules():
            if isinstance(module, DistributedDataParallel) and hasattr(module, 'reducer'):
                # The gradient buckets have the old memory order, which would permute the exchanged gradients. A
                # round trip of the state rebuilds them, and references to the wrapper stay valid.
                module.__setstate__(module.__getstate__())
        for wrapper in wrappers_of(runner).values():
            for state in wrapper.optimizer.state.values():  # fused optimizers index weights and momenta alike
                for name, value in state.items():
                    if torch.is_tensor(value) and value.dim() == 4:
                        state[name] = value.contiguous(memory_format=torch.channels_last)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Write everything in the usual order, which safetensors and fused optimizers need."""
        weights = checkpoint['state_dict']
        weights.update({name: value.contiguous() for name, value in weights.items()})
        if 'optimizer' in checkpoint:
            checkpoint['optimizer'] = apply_to(checkpoint['optimizer'], torch.is_tensor, Tensor.contiguous)
