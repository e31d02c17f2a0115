"""Compare trainings: ``ablation_table.py WORK_DIRS... [--metric NAME ...] [--best] [--out table.md]``.

It reads what training wrote into its work directories and prints a Markdown table: a row for each config, the mean over
its seeds (``randomness.seed``) with its spread, and the difference to the reference. Runs that are unfinished or not
validated, or of another length, are left out of the mean, and said to be.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmdark.apis import run_or_explain
from mmdark.apis.ablation_table import markdown_table, table_rows
from mmdark.apis.run_log import read_run
from mmdark.errors import InputError
from mmdark.whole_file import write_whole

REFERENCE = 'dsfd_dark_wider'


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='A Markdown table of trainings.')
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='work directories of trainings')
    parser.add_argument('--metric', nargs='+', metavar='NAME', help='columns, such as dark/wider/AP (default: all AP)')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--last', action='store_true', help='of each run the last validation (the default)')
    which.add_argument('--best', action='store_true', help="of each run the best validation, by its config's save_best")
    parser.add_argument(
        '--reference',
        metavar='CONFIG',
        help=f'name of the config to compare with (default: {REFERENCE}, if it is there)',
    )
    parser.add_argument('--out', metavar='FILE', help='write the table there, too')
    return parser.parse_args()


def main() -> None:
    """Read, group, print."""
    args = parse_args()
    runs, notes = [], []
    for work_dir in args.work_dirs:
        try:
            runs.append(read_run(work_dir))
        except InputError as error:
            notes.append(str(error))
    if not runs:
        raise InputError(notes[0])
    rows, metrics, more = table_rows(runs, args.metric, args.best)
    named = Path(args.reference).name.removesuffix('.py') if args.reference else None
    default = REFERENCE if any(row.name == REFERENCE for row in rows) else None
    text = markdown_table(rows, metrics, [*notes, *more], named or default) + '\n'
    sys.stdout.write(text)
    sys.stdout.flush()
    if args.out:
        write_whole(Path(args.out), text.encode(), '--out')


if __name__ == '__main__':
    run_or_explain(main)
