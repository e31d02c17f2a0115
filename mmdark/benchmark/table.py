"""Benchmark records as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from .interleave import OURS, PUBLISHED

HEAD = ('what', 'batch', 'ms a call (fastest to slowest)', 'images/s', 'TFLOP/s', 'of peak', 'peak memory')
AGAINST = ('published, ms a call', 'batch', 'peak memory', 'ratio', 'same result')
NOTHING = '-'


def markdown_table(records: Sequence[dict]) -> str:
    """A row a record; the columns about the published code only where it was measured.

    The ratio is that of the images a second, the median of the runs, with the least and the largest of several.
    """
    against = any(PUBLISHED in record for record in records)
    head = HEAD + (AGAINST if against else ())
    rows = [_row(record, against) for record in records]
    lines = [head, ('---',) * len(head), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines) + '\n'


def progress_line(record: dict) -> str:
    """What was measured, in one line for the terminal."""
    ours, other = record[OURS], record.get(PUBLISHED)
    line = f'{record["name"]}: {milliseconds(ours["seconds"])} ms a call, {ours["images_per_second"]:.3g} images/s'
    if other is None:
        return line
    return f'{line}; published {milliseconds(other["seconds"])} ms: ratio {_ratio(record["ratios"])}'


def markdown_head(machine: dict) -> str:
    """One line: where it ran."""
    return (
        f'{machine["device"]}, {machine["threads"]} thread(s), load {machine["load"]}; torch {machine["torch"]}, '
        f'Python {machine["python"]}; commit {machine["commit"]}; {machine["date"]}\n'
    )


def _row(record: dict, against: bool) -> tuple[str, ...]:
    ours, other = record[OURS], record.get(PUBLISHED)
    name = record['name'] + ''.join(f', {mode.replace("_", "-")}' for mode in record['modes'])
    share = NOTHING if ours['share_of_peak'] is None else f'{ours["share_of_peak"]:.0%}'
    tflops = NOTHING if ours['tflops'] is None else f'{ours["tflops"]:.3g}'
    speed = f'{ours["images_per_second"]:.3g}'
    row = (name, str(ours['batch']), _times(ours), speed, tflops, share, _memory(ours))
    if not against:
        return row
    if other is None:
        return (*row, *(NOTHING,) * len(AGAINST))
    same = {True: 'yes', False: 'NO', None: NOTHING}[record['same_result']]
    return (*row, _times(other), str(other['batch']), _memory(other), _ratio(record['ratios']), same)


def _times(side: dict) -> str:
    low, high = side['spread']
    return f'{milliseconds(side["seconds"])} ({milliseconds(low)} to {milliseconds(high)})'


def milliseconds(seconds: float) -> str:
    """Three digits; whole ones from 100 on.

    Example:
        >>> milliseconds(0.0123456), milliseconds(12.3456)
        ('12.3', '12,346')
    """
    value = seconds * 1000
    return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def _memory(side: dict) -> str:
    return NOTHING if side['memory'] is None else f'{side["memory"] / 2**20:,.0f} MiB'


def _ratio(each: Sequence[float]) -> str:
    spread = f' ({min(each):.3g} to {max(each):.3g})' if len(each) > 1 else ''
    return f'{median(each):.3g}{spread}'
