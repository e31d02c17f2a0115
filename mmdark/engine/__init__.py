"""Loops, hooks, optimizers and schedules that mmengine lacks for this training."""

import mmdark.compat  # noqa: F401  builds the bridges first

# isort: split
from . import hooks
from .checkpoint_files import WholeFileBackend
from .epoch_loop import CountedIndex, ResumableEpochLoop, ResumableSampler
from .optim_wrappers import Bfloat16OptimWrapper
from .schedulers import ShortOneCycleLR, TrapezoidLR

__all__ = [
    'Bfloat16OptimWrapper',
    'CountedIndex',
    'ResumableEpochLoop',
    'ResumableSampler',
    'ShortOneCycleLR',
    'TrapezoidLR',
    'WholeFileBackend',
    'hooks',
]
