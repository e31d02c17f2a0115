"""Look at a model in the middle of its training, and leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; afterwards each module has its mode and torch its random states again.

    In eval mode batch norm leaves its statistics alone, so nothing of the model changes.
    """
    modes = [(module, module.training) for module in model.modules()]
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type == 'cuda'}
    try:
        with torch.random.fork_rng(devices=[device.index for device in devices]), torch.no_grad():
            model.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode
