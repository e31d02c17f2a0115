"""What a step of training depends on besides the weights and its batch: random draws, and what earlier steps left."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import torch
from mmdet.models.data_preprocessors import BatchSyncRandomResize
from torch import nn


def seed_step(seed: int, iteration: int) -> None:
    """Seed what the model draws in one step, such as the boxes that Faster R-CNN samples, by (seed, iteration)."""
    state = int(np.random.SeedSequence((seed, iteration)).generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)  # noqa: NPY002
    torch.manual_seed(state)


def forgotten_by_a_resume(dataset: object, model: nn.Module) -> list[str]:
    """Names of the transforms and batch augments whose result depends on earlier steps; no checkpoint holds that.

    ``CachedMosaic`` and ``CachedMixUp`` take their other images from those of earlier samples, and
    ``BatchSyncRandomResize`` keeps the size that it drew some iterations ago.
    """
    cached = {type(step).__name__ for step in _transforms(dataset) if hasattr(step, 'results_cache')}
    resized = {type(part).__name__ for part in model.modules() if isinstance(part, BatchSyncRandomResize)}
    return sorted(cached | resized)


def _transforms(dataset: object) -> Iterator[object]:
    """The transforms of a data set and of those that it wraps."""
    for inner in (getattr(dataset, 'dataset', None), *getattr(dataset, 'datasets', ())):
        if inner is not None:
            yield from _transforms(inner)
    pipeline = getattr(dataset, 'pipeline', ())
    yield from getattr(pipeline, 'transforms', pipeline)
