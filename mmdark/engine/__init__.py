"""What mmengine lacks for this training: a loop and hooks, one job a file."""

from .epoch_loop import ResumableEpochLoop, ResumableSampler
from .hooks import DrawDarkPanels, LiveProgress, StopOnNonFinite, StrictCheckpoint

__all__ = [
    'DrawDarkPanels',
    'LiveProgress',
    'ResumableEpochLoop',
    'ResumableSampler',
    'StopOnNonFinite',
    'StrictCheckpoint',
]
