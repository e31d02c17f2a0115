"""One decision for all processes."""

from __future__ import annotations

import torch
from mmengine.device import get_device
from mmengine.dist import get_backend, is_distributed
from torch import distributed

DEVICE_INTERVAL = 10
"""An exchange through NCCL makes the GPU wait, so it is not done in each iteration."""


def largest_of_all(value: int, count: int, interval: int | None = None) -> int:
    """Largest ``value`` of all processes, which must all call this in the same iterations.

    Args:
        value: of this process, not negative.
        count: number of the iteration.
        interval: exchange in every ``interval``-th iteration; by default in each with gloo, in every tenth with NCCL.

    Returns:
        The largest value; 0 in iterations without an exchange.
    """
    if not is_distributed():
        return value
    on_host = get_backend() == 'gloo'
    if count % (interval or (1 if on_host else DEVICE_INTERVAL)):
        return 0
    largest = torch.tensor(value, device='cpu' if on_host else get_device())
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    return int(largest.item())
