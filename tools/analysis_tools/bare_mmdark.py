"""The parts of mmdark that need numpy alone, without the seconds that torch and MMDetection take to import.

``import mmdark`` registers every module, and so imports torch, mmengine and mmdet; a scorer of text files uses none of
them. :func:`use_bare_mmdark` puts the packages in place unexecuted, so that their files can be imported one by one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec, module_from_spec

PACKAGES = ('mmdark', 'mmdark.evaluation')


def use_bare_mmdark() -> None:
    """Make ``import mmdark.evaluation.x`` run x alone; where mmdark is imported already nothing changes."""
    if PACKAGES[0] not in sys.modules:
        for name in PACKAGES:
            sys.modules[name] = module_from_spec(find_spec(name))


def run_bare(main: Callable[[], None]) -> None:
    """Run a tool; what is the input's fault ends it with one line on stderr and status 1.

    As ``mmdark.apis.run_or_explain`` does, which needs torch.
    """
    from mmdark.errors import InputError

    try:
        main()
    except InputError as error:
        sys.exit(f'error: {error}')
