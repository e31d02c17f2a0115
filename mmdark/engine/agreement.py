"""What several processes do at the same iteration, because one of them wants it."""

from __future__ import annotations

import torch
from mmengine.device import get_device
from mmengine.dist import get_backend, is_distributed
from torch import distributed

DEVICE_INTERVAL = 10
"""Asking the other processes through NCCL makes the GPU wait, so it is not done in each iteration."""


def largest_of_all(value: int, count: int, interval: int | None = None) -> int:
    """The largest value of all processes; all of them must call this in the same iterations.

    Args:
        value: of this process, not negative.
        count: of the iteration.
        interval: ask the other processes in every so many iterations; by default in each one, or, where it makes a GPU
            wait, in every tenth.

    Returns:
        The largest value; 0 in the iterations in which the processes do not ask each other.
    """
    if not is_distributed():
        return value
    on_host = get_backend() == 'gloo'
    if count % (interval or (1 if on_host else DEVICE_INTERVAL)):
        return 0
    largest = torch.tensor(value, device='cpu' if on_host else get_device())
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    return int(largest.item())
