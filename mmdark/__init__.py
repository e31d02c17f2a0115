"""mmdark: face detectors that see in the dark, for MMDetection. Importing it registers everything.

One process is exempt: the command ``mmdark`` itself. Its help shall not wait for torch, and ``mmdark doctor`` shall run
where torch or MMDetection is missing; :func:`mmdark.cli.load_everything` does the same as soon as it is needed.
"""

import os
import sys

__version__ = '0.1.0'


def _is_the_command() -> bool:
    """Whether this process was started as ``mmdark ...`` or ``python -m mmdark.cli ...``; its workers are not."""
    first, second = (*sys.orig_argv[1:3], '', '')[:2]
    return (first, second) == ('-m', 'mmdark.cli') or os.path.basename(first) in ('mmdark', 'mmdark.exe')


if not _is_the_command():
    from mmdark import compat  # isort: split

    from mmdark import adaptation, datasets, engine, evaluation, models

__all__ = ['adaptation', 'compat', 'datasets', 'engine', 'evaluation', 'models']
