"""Use the model during a training without changing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdark.drawing import pixels_of


def detector_of(runner: Runner) -> nn.Module:
    """The model without its wrappers for distributed training and test-time augmentation."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return model.module if isinstance(model, BaseTTAModel) else model


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Switch to eval mode without gradients; restore all modules' modes and torch's random states afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    devices = {parameter.device.index for parameter in model.parameters() if parameter.device.type == 'cuda'}
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            model.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode


@torch.no_grad()
def reflectance_of(model: nn.Module, image: Tensor) -> np.ndarray | None:
    """Decode the reflectance of an RGB image in [0, 1], ``(3, H, W)``, to ``(H, W, 3)`` BGR uint8.

    Returns None if the model has no reflectance decoder.
    """
    if getattr(model, 'reflectance_decoder', None) is None:
        return None
    return pixels_of(model.reflectance(image[None].to(next(model.parameters()).device))[0])
