"""Hold mmdark against numbers of the authors' code: ``python tools/analysis_tools/check_parity.py [--golden DIR]``.

DIR holds golden cases, ``tests/golden`` if it is not given: networks, losses and gradients (``dainet_*``,
``dsfd_<model>_*``), steps of training (``trajectory_*``), DarkISP (``dark_isp*``) and box voting (``box_voting*``).
Exit status 1 says that something differs.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmdark.apis import run_or_explain
from mmdark.benchmark import check_device

try:
    from mmdark.parity import Comparison, check_parity, table
except ModuleNotFoundError:
    sys.exit('error: mmdark.parity is not in the installed package: run this tool in a clone of the repository')

GOLDEN = Path(__file__).resolve().parents[2] / 'tests' / 'golden'


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compare mmdark with numbers that the authors' code printed.")
    parser.add_argument(
        '--golden',
        default=str(GOLDEN),
        metavar='DIR',
        help='folder of golden cases, *.json and *.npz (%(default)s)',
    )
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='(default: %(default)s)')
    parser.add_argument('--all', action='store_true', help='a line for each gradient, not for the worst one alone')
    return parser.parse_args()


def condensed(comparisons: list[Comparison]) -> list[Comparison]:
    """The gradients of a case that agree as one line, which shows the worst of them; all else as it is."""
    many = [one for one in comparisons if one.agrees and one.quantity.startswith('gradient ')]
    if not many:
        return comparisons
    worst = max(many, key=lambda one: one.difference)
    label = f'gradients of {len(many)} parameters, the worst: {worst.quantity.removeprefix("gradient ")}'
    return [one for one in comparisons if one not in many] + [replace(worst, quantity=label)]


def main() -> None:
    """Print a table for each case, and how many quantities agree."""
    args = parse_args()
    check_device(args.device)
    torch.backends.cudnn.allow_tf32 = False  # the golden numbers are float32's; convolutions take TF32 by default
    init_default_scope('mmdet')
    MMLogger.get_current_instance().setLevel('ERROR')  # a line for each parameter of an optimizer
    total = wrong = 0
    for _, group in groupby(check_parity(args.golden, args.device), key=lambda one: one.case):
        comparisons = list(group)
        total += len(comparisons)
        wrong += sum(not one.agrees for one in comparisons)
        print(table(comparisons if args.all else condensed(comparisons)), end='\n\n', flush=True)
    if wrong:
        sys.exit(f'{wrong} of {total} quantities differ from the published code by more than the tolerance')
    print(f'all {total} quantities agree with the published code')


if __name__ == '__main__':
    run_or_explain(main)
