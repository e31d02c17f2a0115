"""Draw the curves of trainings: ``plot_log.py WORK_DIR... --out curves.png``.

Every loss term over the iterations, AP and the validation loss over the epochs. Several runs share the panels. A run
that was resumed is joined from its parts; what was logged twice counts as it was logged last.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmdark.apis import run_or_explain
from mmdark.apis.log_plot import check_curves_path, plot_runs
from mmdark.apis.run_log import SCALARS, read_run
from mmdark.errors import InputError
from mmdark.file_limits import parse_json


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Loss and AP curves of trainings.')
    parser.add_argument('runs', nargs='+', metavar='WORK_DIR', help='work directory of a training, or a scalars.json')
    parser.add_argument('--out', required=True, metavar='FILE', help='the figure: .png, .pdf or .svg')
    parser.add_argument('--keys', nargs='+', metavar='NAME', help="draw these scalars ('*AP', lr, ...)")
    parser.add_argument('--smooth', type=int, metavar='N', help='mean over N logged values (default: a fiftieth)')
    return parser.parse_args()


def note_cut_lines(run: Path) -> None:
    """Say which files end within a line, as after a kill; the line is left out."""
    for file in [run] if run.is_file() else sorted(run.glob(f'*/{SCALARS}')):
        last = [line for line in file.read_bytes().splitlines() if line.strip()][-1:]
        try:
            parse_json(*last or ['{}'])
        except ValueError:
            print(f'note: the last line of {file} is cut off and left out', file=sys.stderr)


def main() -> None:
    """Read, draw, say where."""
    args = parse_args()
    check_curves_path(args.out)
    if args.smooth is not None and args.smooth < 1:
        raise InputError(f'--smooth {args.smooth}: name a number from 1, or leave it out')
    for run in args.runs:
        note_cut_lines(Path(run))
    runs = [read_run(run) for run in args.runs]
    plot_runs(args.out, runs, args.keys, args.smooth)
    for run in runs:
        print(f'{run.work_dir}: {run.name}, {run.iterations} iterations, {len(run.val)} validations')
    print(f'curves: {args.out}')


if __name__ == '__main__':
    run_or_explain(main)
