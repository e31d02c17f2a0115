"""The loss over some hundred steps, in float32 and in bfloat16: whether a precision learns as the other does."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice

import torch
from mmengine.optim import build_optim_wrapper

from mmdark.apis import enable_amp

from .model import build_model, read_config
from .network import random_batches
from .settings import Settings

BATCHES = 8
"""Random ones, trained again and again."""
WINDOW = 50
"""Steps of a mean."""


def loss_curve(settings: Settings, steps: int, batch: int) -> list[float]:
    """Total loss of each step of a training on the same random batches, with the config's optimizer and rate."""
    cfg = read_config(settings)
    if settings.amp:
        enable_amp(cfg)
    model = build_model(cfg, settings).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batches = [random_batches(cfg, replace(settings, seed=seed), batch)() for seed in range(BATCHES)]
    losses = [model.train_step(data, wrapper)['loss'].detach() for data in islice(cycle(batches), steps)]
    return torch.stack(losses).tolist()


def means(losses: list[float], window: int = WINDOW) -> list[float]:
    """Means over windows of the losses.

    Example:
        >>> means([1.0, 3.0, 5.0], window=2)
        [2.0, 5.0]
    """
    parts = [losses[first : first + window] for first in range(0, len(losses), window)]
    return [sum(part) / len(part) for part in parts]
