"""Gradient accumulation, of which mmengine's optimizer wrapper tells nothing in public."""

from __future__ import annotations

from mmengine.optim import OptimWrapper, OptimWrapperDict


def accumulated_batches(optim_wrapper: OptimWrapper | OptimWrapperDict) -> int:
    """How many batches make a step; 1 for several optimizers, each of which may have its own number."""
    return getattr(optim_wrapper, '_accumulative_counts', 1)
