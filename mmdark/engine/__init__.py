"""What mmengine lacks for this training: a loop and hooks, one job a file."""

import mmdark.compat  # noqa: F401  builds the bridges first

# isort: split
from .bfloat16_optim_wrapper import Bfloat16OptimWrapper
from .epoch_loop import CountedIndex, ResumableEpochLoop, ResumableSampler
from .hooks import (
    AverageBuffers,
    ChannelsLast,
    CompileParts,
    DrawDarkPanels,
    DrawTrainPanels,
    KeepFreedMemory,
    LeaveOutWeights,
    LiveProgress,
    NameScalars,
    PlainCheckpoint,
    RecordConfig,
    ResumeByConfig,
    SaveOnSigterm,
    SqrtScaleLR,
    StopOnNonFinite,
    StrictCheckpoint,
    SurviveFullDisk,
    TimeLeft,
    ValidateFirst,
    ValidationLoss,
    WholeCheckpoint,
    WorldRuntimeInfo,
    keep_freed_memory,
)
from .one_cycle import ShortOneCycleLR
from .trapezoid_lr import TrapezoidLR
from .whole_file_backend import WholeFileBackend

__all__ = [
    'AverageBuffers',
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
    'RecordConfig',
    'ResumableEpochLoop',
    'ResumableSampler',
    'ResumeByConfig',
    'SaveOnSigterm',
    'ShortOneCycleLR',
    'SqrtScaleLR',
    'StopOnNonFinite',
    'StrictCheckpoint',
    'SurviveFullDisk',
    'TimeLeft',
    'TrapezoidLR',
    'ValidateFirst',
    'ValidationLoss',
    'WholeCheckpoint',
    'WholeFileBackend',
    'WorldRuntimeInfo',
    'keep_freed_memory',
]
