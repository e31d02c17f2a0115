"""Keep images in memory pixel by pixel, which tensor cores and CPUs with matrix units want."""

from __future__ import annotations

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import apply_to
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmdark.engine.optimizers import wrappers_of


@HOOKS.register_module()
class ChannelsLast(Hook):
    """Put the weights of all convolutions in channels-last order; what they compute follows, and stays the same.

    Checkpoints do not change: names, shapes and the order in memory are the usual ones.
    """

    def before_train(self, runner: Runner) -> None:
        """Reorder the model's four-dimensional weights in place, and what a resumed optimizer keeps of them.

        The weights are initialised or loaded by now: reordering earlier would change the random initialisation.
        """
        runner.model.to(memory_format=torch.channels_last)
        _rebuild_buckets(runner.model)
        for wrapper in wrappers_of(runner).values():
            _reorder(wrapper.optimizer)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Write everything in the usual order, which some file formats (safetensors) and fused optimizers insist on."""
        weights = checkpoint['state_dict']
        weights.update({name: value.contiguous() for name, value in weights.items()})
        if 'optimizer' in checkpoint:
            checkpoint['optimizer'] = apply_to(checkpoint['optimizer'], torch.is_tensor, Tensor.contiguous)


def _rebuild_buckets(model: nn.Module) -> None:
    """Have ``DistributedDataParallel`` lay out its buckets of gradients anew.

    The Runner wraps the model before any hook runs, and the buckets have the memory order that the weights had then.
    With another order, the numbers of a gradient come back from the exchange in the wrong places. Unpickling builds
    the reducer anew, which frees the old one with its hooks; references to the wrapper stay valid.
    """
    for module in model.modules():
        if isinstance(module, DistributedDataParallel) and hasattr(module, 'reducer'):
            module.__setstate__(module.__getstate__())


def _reorder(optimizer: torch.optim.Optimizer) -> None:
    """Give momenta the memory order of their weights: fused optimizers go through both number by number."""
    for state in optimizer.state.values():
        for name, value in state.items():
            if torch.is_tensor(value) and value.dim() == 4:
                state[name] = value.contiguous(memory_format=torch.channels_last)
