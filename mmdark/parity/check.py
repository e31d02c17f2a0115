"""Every golden case in a folder, each by its check."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from mmdark.errors import InputError

from .comparison import Comparison
from .darkness import check_dark_isp
from .golden import golden_cases
from .networks import check_dai_net, check_dsfd
from .trajectory import check_trajectory
from .voting import check_box_voting

CHECKS: dict[str, Callable[..., Iterator[Comparison]]] = {
    'dainet_': check_dai_net,
    'dsfd_': check_dsfd,
    'trajectory_': check_trajectory,
    'dark_isp': check_dark_isp,
    'box_voting': check_box_voting,
}
"""What a case's name begins with → its check, of a case and a device."""


def check_parity(folder: str | os.PathLike, device: str = 'cpu') -> Iterator[Comparison]:
    """Every quantity of every golden case in ``folder``, computed on a device.

    Raises:
        InputError: the folder is missing or holds no case, or a case cannot be read.
    """
    found = [(check, case) for prefix, check in CHECKS.items() for case in golden_cases(folder, prefix)]
    if not found:
        raise InputError(f'{folder} holds no golden case: their names begin with {", ".join(CHECKS)}')
    for check, case in found:
        try:
            yield from check(case, device)
        except KeyError as error:
            raise InputError(f'golden case {case.name} in {folder} lacks {error}, or names a strange model') from error
