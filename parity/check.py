"""Compare mmdark with numbers of the authors' code: ``python tools/analysis_tools/check_parity.py [--golden DIR]``.

DIR holds golden cases, ``tests/golden`` by default: networks, losses and gradients (``dainet_*``, ``dsfd_<model>_*``),
steps of training (``trajectory_*``), DarkISP (``dark_isp*``) and box voting (``box_voting*``). The exit status is 1 if
something differs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmdark.errors import InputError

from .comparison import Comparison, table
from .darkness import check_dark_isp
from .golden import golden_cases
from .networks import check_dai_net, check_dsfd
from .trajectory import check_trajectory
from .voting import check_box_voting

GOLDEN = Path(__file__).resolve().parents[1] / 'tests' / 'golden'
CHECKS: dict[str, Callable[..., Iterator[Comparison]]] = {
    'dainet_': check_dai_net,
    'dsfd_': check_dsfd,
    'trajectory_': check_trajectory,
    'dark_isp': check_dark_isp,
    'box_voting': check_box_voting,
}
"""Beginning of a case's name → its check, of a case and a device."""


def check_parity(folder: str | os.PathLike, device: str = 'cpu') -> Iterator[Comparison]:
    """Every quantity of every golden case in ``folder``, computed on a device.

    Raises:
        InputError: the folder is missing or holds no case, or a case cannot be read.
    """
    cases = [(check, case) for prefix, check in CHECKS.items() for case in golden_cases(folder, prefix)]
    if not cases:
        raise InputError(f'{folder} holds no golden case: their names begin with {", ".join(CHECKS)}')
    for check, case in cases:
        try:
            yield from check(case, device)
        except KeyError as error:
            raise InputError(f'golden case {case.name} in {folder} lacks {error}, or names a strange model') from error


def condensed(comparisons: list[Comparison]) -> list[Comparison]:
    """The gradients of a case that agree as one line, which shows the worst of them; all else as it is."""
    gradients = [each for each in comparisons if each.agrees and each.quantity.startswith('gradient ')]
    if not gradients:
        return comparisons
    worst = max(gradients, key=lambda each: each.difference)
    label = f'gradients of {len(gradients)} parameters, the worst: {worst.quantity.removeprefix("gradient ")}'
    return [each for each in comparisons if each not in gradients] + [replace(worst, quantity=label)]


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compare mmdark with numbers that the authors' code printed.")
    golden_help = 'folder of golden cases, *.json and *.npz (%(default)s)'
    parser.add_argument('--golden', default=str(GOLDEN), metavar='DIR', help=golden_help)
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='(default: %(default)s)')
    parser.add_argument('--all', action='store_true', help='a line for each gradient, not for the worst one alone')
    return parser.parse_args()


def main() -> None:
    """Print a table for each case, and how many quantities agree."""
    args = parse_args()
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise InputError('--device cuda: torch finds no CUDA device here; take --device cpu')
    torch.backends.cudnn.allow_tf32 = False  # the golden numbers are float32's; convolutions take TF32 by default
    init_default_scope('mmdet')
    MMLogger.get_current_instance().setLevel('ERROR')  # a line for each parameter of an optimizer
    total = wrong = 0
    for _, group in groupby(check_parity(args.golden, args.device), key=lambda each: each.case):
        comparisons = list(group)
        total += len(comparisons)
        wrong += sum(not each.agrees for each in comparisons)
        print(table(comparisons if args.all else condensed(comparisons)), end='\n\n', flush=True)
    if wrong:
        sys.exit(f'{wrong} of {total} quantities differ from the published code by more than the tolerance')
    print(f'all {total} quantities agree with the published code')
