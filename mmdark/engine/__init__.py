"""What mmengine lacks for this training: a loop and hooks, one job a file."""

from .bfloat16_optim_wrapper import Bfloat16OptimWrapper
from .epoch_loop import CountedIndex, ResumableEpochLoop, ResumableSampler
from .hooks import (
    ChannelsLast,
    CompileParts,
    DrawDarkPanels,
    DrawTrainPanels,
    KeepFreedMemory,
    LeaveOutWeights,
    LiveProgress,
    NameScalars,
    PlainCheckpoint,
    SaveOnSigterm,
    SqrtScaleLR,
    StopOnNonFinite,
    StrictCheckpoint,
    SurviveFullDisk,
    TimeLeft,
    ValidationLoss,
    WholeCheckpoint,
    WorldRuntimeInfo,
    keep_freed_memory,
)
from .whole_file_backend import WholeFileBackend

__all__ = [
    'Bfloat16OptimWrapper',
    'ChannelsLast',
    'CompileParts',
    'CountedIndex',
    'DrawDarkPanels',
    'DrawTrainPanels',
    'KeepFreedMemory',
    'LeaveOutWeights',
    'LiveProgress',
    'NameScalars',
    'PlainCheckpoint',
    'ResumableEpochLoop',
    'ResumableSampler',
    'SaveOnSigterm',
    'SqrtScaleLR',
    'StopOnNonFinite',
    'StrictCheckpoint',
    'SurviveFullDisk',
    'TimeLeft',
    'ValidationLoss',
    'WholeCheckpoint',
    'WholeFileBackend',
    'WorldRuntimeInfo',
    'keep_freed_memory',
]
