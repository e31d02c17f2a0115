"""Hooks, one job a file."""

from .draw_dark_panels import DrawDarkPanels
from .leave_out_weights import LeaveOutWeights
from .live_progress import LiveProgress
from .stop_on_non_finite import StopOnNonFinite
from .strict_checkpoint import StrictCheckpoint

__all__ = ['DrawDarkPanels', 'LeaveOutWeights', 'LiveProgress', 'StopOnNonFinite', 'StrictCheckpoint']
