"""What mmengine lacks for this training: a loop and hooks, one job a file."""

from .epoch_loop import ResumableEpochLoop, ResumableSampler
from .hooks import DrawDarkPanels, LeaveOutWeights, LiveProgress, StopOnNonFinite, StrictCheckpoint

__all__ = [
    'DrawDarkPanels',
    'LeaveOutWeights',
    'LiveProgress',
    'ResumableEpochLoop',
    'ResumableSampler',
    'StopOnNonFinite',
    'StrictCheckpoint',
]
