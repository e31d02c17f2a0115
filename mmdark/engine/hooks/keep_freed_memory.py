"""Reuse freed memory: by default, glibc returns large blocks to the system, which must zero new pages each step."""

from __future__ import annotations

import ctypes

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt(3)."""


@HOOKS.register_module()
class KeepFreedMemory(Hook):
    """Call :func:`keep_freed_memory` for a training on a CPU and its data loader workers.

    On a GPU it is not used: a step allocates no large blocks of host memory, and each worker would keep the memory of
    its largest images.
    """

    def before_run(self, runner: Runner) -> None:
        """Set the options before the first worker starts."""
        if next(runner.model.parameters()).device.type == 'cpu':
            keep_freed_memory()


def keep_freed_memory() -> bool:
    """Set ``MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=-1`` at run time; returns False if the libc is not glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
