"""Make the same decision in all processes."""

from __future__ import annotations

import torch
from mmengine.device import get_device
from mmengine.dist import get_backend, is_distributed
from torch import distributed

DEVICE_INTERVAL = 10
"""Default exchange interval with NCCL, in iterations; each exchange makes the GPU wait."""


def largest_of_all(value: int, count: int, interval: int | None = None) -> int:
    """Maximum of ``value`` over all processes; all of them must call this in the same iterations.

    Args:
        value: value of this process, not negative.
        count: number of the iteration.
        interval: number of iterations between exchanges; by default 1 with gloo and 10 with NCCL.

    Returns:
        The maximum; 0 in iterations without an exchange.
    """
    if not is_distributed():
        return value
    on_host = get_backend() == 'gloo'
    if count % (interval or (1 if on_host else DEVICE_INTERVAL)):
        return 0
    largest = torch.tensor(value, device='cpu' if on_host else get_device())
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    return int(largest.item())
