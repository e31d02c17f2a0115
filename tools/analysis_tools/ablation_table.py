"""Compare trainings: ``ablation_table.py WORK_DIRS... [--metric NAME ...] [--best] [--out table.md]``.

It reads the logs in the work directories and prints a Markdown table: a row for each config, the mean over its seeds
(``randomness.seed``) with its spread, and the difference to the reference. Runs that are unfinished, not validated or
of another length are not averaged, and listed below the table.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from config_differences import config_differences
from mmengine.config import Config
from run_log import RunLog, Scalars, read_run

from mmdark.errors import InputError, run_or_explain
from mmdark.whole_file import write_whole

REFERENCE = 'dsfd_dark_wider'
MAIN_METRICS = re.compile(r'(^|/)((easy|medium|hard)_)?AP$|(^|/)(mAP|bbox_mAP_50)$')
"""Columns unless others are asked for."""
NOT_SETTINGS = (
    *('work_dir', 'randomness*', 'resume', 'launcher', 'experiment_name', 'log_level', 'log_processor*', 'env_cfg*'),
    *('vis_backends*', 'visualizer*', '*num_workers', '*persistent_workers', 'custom_imports*'),
    *(f'default_hooks.{hook}*' for hook in ('checkpoint', 'draw', 'live_progress', 'logger', 'visualization')),
)
"""Keys that runs of one experiment may differ in."""
NONE = '-'


@dataclass(frozen=True)
class Row:
    """The averaged runs of one config; ``values``: metric → its value in each run, NaN left out."""

    name: str
    length: str
    values: dict[str, list[float]]
    seeds: int


def table_rows(
    runs: Sequence[RunLog], metrics: Sequence[str] | None = None, best: bool = False
) -> tuple[list[Row], list[str], list[str]]:
    """Group runs by config and settings; gives the rows, the metrics and the notes.

    Args:
        runs: in the order of the rows.
        metrics: names as in the log; None takes those that match :data:`MAIN_METRICS`.
        best: take each run's best validation, by ``save_best`` of its config or the first metric; else the last.

    Raises:
        InputError: no run has a metric.
    """
    known = list(dict.fromkeys(key for run in runs for line in run.val for key in line if key not in ('epoch', 'iter')))
    metrics = list(metrics or filter(MAIN_METRICS.search, known))
    if unknown := [metric for metric in metrics or ['AP'] if metric not in known]:
        names = ', '.join(sorted(known)) or 'no validation at all'
        raise InputError(
            f'no run has {", ".join(unknown)} in its log, which knows {names}: choose others with --metric'
        )
    notes: list[str] = []
    rows = []
    for name, group in _groups(runs).items():
        counted = _counted(group, notes)
        chosen = {str(run.work_dir): _validation(run, metrics, best) for run in counted}
        values = {
            metric: [line[metric] for line in chosen.values() if math.isfinite(line.get(metric, math.nan))]
            for metric in metrics
        }
        for metric, found in values.items():
            if len(found) < len(counted):
                notes.append(f'{name}: {metric} is in {len(found)} of {len(counted)} runs')
        rows.append(Row(name, length(counted[0]) if counted else '', values, len(counted)))
    return rows, metrics, notes


def length(run: RunLog) -> str:
    """How long a run trained, in iterations if ``max_iters`` ended it; epochs do not depend on the number of GPUs."""
    max_iters = (run.config.get('train_cfg') or {}).get('max_iters')
    cut = max_iters and run.iterations >= max_iters
    number, unit = (run.iterations, 'iteration') if cut else (run.epochs, 'epoch')
    return f'{number} {unit}{"" if number == 1 else "s"}'


def _groups(runs: Iterable[RunLog]) -> dict[str, list[RunLog]]:
    """Runs of equal settings by the name of their config; different settings follow it in brackets."""
    alike: dict[str, list[list[RunLog]]] = {}
    for run in runs:
        groups = alike.setdefault(run.name, [])
        for group in groups:
            if not _settings(group[0].config, run.config):
                group.append(run)
                break
        else:
            groups.append([run])
    named = {}
    for name, groups in alike.items():
        first = max(groups, key=len)
        for group in groups:
            changed = _settings(first[0].config, group[0].config)
            shown = [f'{key}={new}' for key, (_, new) in list(changed.items())[:3]]
            shown += [f'and {len(changed) - 3} more'] if len(changed) > 3 else []
            named[f'{name} [{", ".join(shown)}]' if shown else name] = group
    return named


def _settings(one: Config, other: Config) -> dict[str, tuple[object, object]]:
    return config_differences(one, other, NOT_SETTINGS)


def _counted(group: Sequence[RunLog], notes: list[str]) -> list[RunLog]:
    """The runs that can be averaged; the reasons against the others go into ``notes``."""
    complete = []
    for run in group:
        if not run.finished:
            notes.append(f'{run.work_dir}: unfinished, at epoch {run.epochs}, iteration {run.iterations}; left out')
        elif not run.val:
            notes.append(f'{run.work_dir}: without validation; left out')
        else:
            complete.append(run)
    counted: list[RunLog] = []
    for run in complete:
        usual = Counter(map(length, complete)).most_common(1)[0][0]
        if length(run) != usual:
            notes.append(f'{run.work_dir}: trained for {length(run)}, others of its config for {usual}; left out')
        elif run.seed is not None and run.seed in [other.seed for other in counted]:
            notes.append(f'{run.work_dir}: seed {run.seed} once more; left out')
        else:
            counted.append(run)
    return counted


def _validation(run: RunLog, metrics: Sequence[str], best: bool) -> Scalars:
    if not best:
        return run.val[-1]
    hook = (run.config.get('default_hooks') or {}).get('checkpoint') or {}
    key = hook.get('save_best')
    key, sign = (key, -1 if hook.get('rule') == 'less' else 1) if key in run.val[-1] else (metrics[0], 1)
    return max(run.val, key=lambda line: sign * line[key] if math.isfinite(line.get(key, math.nan)) else -math.inf)


def markdown_table(rows: Sequence[Row], metrics: Sequence[str], notes: Sequence[str], reference: str | None) -> str:
    """The rows as a Markdown table, first that of the reference, with a legend and the notes below.

    Raises:
        InputError: there is no row of the reference.
    """
    main = next((row for row in rows if row.name == reference), None)
    if reference is not None and main is None:
        raise InputError(f'--reference {reference}: no such row; there are {", ".join(row.name for row in rows)}')
    rows = sorted(rows, key=lambda row: row is not main)
    lines = [['config', 'seeds', 'length', *metrics], ['---', '---:', '---:', *['---:'] * len(metrics)]]
    for row in rows:
        other = main is not None and bool(row.length) and row.length != main.length
        cells = [_cell(row, metric, main) for metric in metrics]
        lines.append([row.name, str(row.seeds), f'{row.length or NONE}{" !" if other else ""}', *cells])
    table = '\n'.join(f'| {" | ".join(cell.replace("|", chr(92) + "|") for cell in line)} |' for line in lines)
    legend = ['Mean over the seeds, ± sample standard deviation; of two, [least, greatest].']
    if main is not None:
        legend[0] += f' In brackets the difference to {main.name}.'
        if any(row.length and row.length != main.length for row in rows):
            legend.append(f'!: trained for another length than {main.name}; the difference is not of one cause alone.')
    notes = [f'- {note}' for note in notes]
    return '\n'.join([table, '', *legend, *([''] if notes else []), *notes])


def _cell(row: Row, metric: str, main: Row | None) -> str:
    values = row.values[metric]
    if not values:
        return NONE
    mean = statistics.fmean(values)
    text = f'{mean:.4f}'
    if len(values) == 2:
        text += f' [{min(values):.4f}, {max(values):.4f}]'
    elif len(values) > 2:
        text += f' ± {statistics.stdev(values):.4f}'
    if main is not None and row is not main and main.values[metric]:
        text += f' ({mean - statistics.fmean(main.values[metric]):+.4f})'
    return text if len(values) == row.seeds else f'{text} of {len(values)}'


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
