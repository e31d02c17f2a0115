"""Keep memory that was freed: glibc hands large blocks back to the system and asks for them again, page by page."""

from __future__ import annotations

import ctypes

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
"""The two parameters of glibc's mallopt(3)."""


@HOOKS.register_module()
class KeepFreedMemory(Hook):
    """Let this process, and the data loader's workers that it forks, use large blocks again instead of returning them.

    Every step on a CPU takes and frees the same large tensors; without this the kernel zeroes their pages each time.
    Nothing happens where the C library is not glibc, nor where the model is on a GPU: there no step takes large blocks
    of the host's memory, and a dozen workers would keep for ever what their largest photographs took.
    """

    def before_run(self, runner: Runner) -> None:
        """Before the first worker starts."""
        if next(runner.model.parameters()).device.type == 'cpu':
            keep_freed_memory()


def keep_freed_memory() -> bool:
    """Have this process keep what it frees, whatever its size; says whether the C library took it.

    The same as ``MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=-1`` in the environment.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # no such library, or not the GNU one
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
