"""Hooks, one per file."""

from .average_buffers import AverageBuffers
from .channels_last import ChannelsLast
from .compile_parts import CompileParts
from .draw_dark_panels import DrawDarkPanels
from .draw_train_panels import DrawTrainPanels
from .keep_freed_memory import KeepFreedMemory, keep_freed_memory
from .live_progress import LiveProgress
from .name_scalars import NameScalars
from .plain_checkpoint import PlainCheckpoint
from .record_config import RecordConfig
from .resume_by_config import ResumeByConfig
from .save_on_sigterm import SaveOnSigterm
from .sqrt_scale_lr import SqrtScaleLR
from .stop_on_non_finite import StopOnNonFinite
from .strict_checkpoint import LeaveOutWeights, StrictCheckpoint
from .survive_full_disk import SurviveFullDisk
from .time_left import TimeLeft
from .validate_first import ValidateFirst
from .validation_loss import ValidationLoss
from .whole_checkpoint import WholeCheckpoint
from .world_runtime_info import WorldRuntimeInfo

__all__ = [
    'AverageBuffers',
    'ChannelsLast',
    'CompileParts',
    'DrawDarkPanels',
    'DrawTrainPanels',
    'KeepFreedMemory',
    'LeaveOutWeights',
    'LiveProgress',
    'NameScalars',
    'PlainCheckpoint',
    'RecordConfig',
    'ResumeByConfig',
    'SaveOnSigterm',
    'SqrtScaleLR',
    'StopOnNonFinite',
    'StrictCheckpoint',
    'SurviveFullDisk',
    'TimeLeft',
    'ValidateFirst',
    'ValidationLoss',
    'WholeCheckpoint',
    'WorldRuntimeInfo',
    'keep_freed_memory',
]
