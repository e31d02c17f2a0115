"""How fast mmdark is, by itself and beside the published implementation from a checkout that the user has.

Behind ``tools/analysis_tools/benchmark.py``. Like the parity check it stands above the rooms, and knows them all.
"""

import mmdark.register  # noqa: F401  builds the bridges first

# isort: split
from .machine import check_device, machine
from .published import check_checkout
from .run import SUBJECTS, Plan, run_subject
from .settings import Settings
from .table import markdown_head, markdown_table, progress_line

__all__ = [
    'SUBJECTS',
    'Plan',
    'Settings',
    'check_checkout',
    'check_device',
    'machine',
    'markdown_head',
    'markdown_table',
    'progress_line',
    'run_subject',
]
