"""Training in bfloat16, which needs no loss scaling, on a GPU or a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper
from torch import nn


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """``OptimWrapper`` whose forward passes run under autocast to bfloat16; weights and gradients stay float32.

    mmengine's ``AmpOptimWrapper`` refuses to run without a GPU and always brings a gradient scaler.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast on the device of the model."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
