"""Reuse freed memory: glibc returns large blocks to the system, which zeroes their pages at each step."""

from __future__ import annotations

import ctypes

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt(3)."""


@HOOKS.register_module()
class KeepFreedMemory(Hook):
    """:func:`keep_freed_memory` for a training on a CPU and its workers.

    On a GPU a step takes no large blocks of host memory, and the workers would keep the memory of their largest images.
    """

    def before_run(self, runner: Runner) -> None:
        """Before the first worker starts."""
        if next(runner.model.parameters()).device.type == 'cpu':
            keep_freed_memory()


def keep_freed_memory() -> bool:
    """As ``MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=-1`` in the environment; False if the C library is not glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
