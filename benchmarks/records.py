"""Measure the subjects one after the other; what came out as records that JSON takes, and as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from .data import DATA
from .head import DETECTIONS, LOSS
from .inputs import write_wider
from .isp import CASES
from .machine import Settings, device_name, peak_tflops
from .measure import OURS, PUBLISHED, Case, Measured, measure, ratios
from .network import FORWARD, STEP
from .startup import STARTUP

SUBJECTS: dict[str, list[Case]] = {
    'isp': CASES,
    'loss': [LOSS],
    'detect': DETECTIONS,
    'data': [DATA],
    'train': [STEP],
    'test': [FORWARD],
    'startup': [STARTUP],
}
NOISE_PHOTOGRAPHS = 24
"""In the folder that is made where none is named."""
SAME = 1e-3
"""Relative difference up to which two results are the same."""
HEAD = ('what', 'batch', 'ms a call (fastest to slowest)', 'images/s', 'TFLOP/s', 'of peak', 'peak memory')
AGAINST = ('published, ms a call', 'batch', 'peak memory', 'ratio', 'same result')
NOTHING = '-'


@dataclass(frozen=True)
class Plan:
    """How to measure: beside which checkout, if any; turns per run; runs; dense TFLOP/s of the device, if given."""

    checkout: Path | None = None
    repeats: int = 5
    runs: int = 1
    peak: float | None = None


def run_subject(subject: str, settings: Settings, plan: Plan) -> Iterator[dict]:
    """Measure the cases of a subject; yields a record of each.

    Raises:
        InputError: the config, the images or the checkout cannot be used.
    """
    for case in SUBJECTS[subject]:
        builds = {OURS: case.ours}
        if plan.checkout and case.published:
            builds[PUBLISHED] = partial(case.published, checkout=plan.checkout)
        with _photographs(case, settings) as given:
            sides = measure(builds, given, plan.repeats, plan.runs)
        yield case_record(subject, case, sides, settings, plan)


def case_record(subject: str, case: Case, sides: dict[str, Measured], settings: Settings, plan: Plan) -> dict:
    """Seconds of one call, images a second, TFLOP/s and bytes, of each side."""
    modes = [mode for mode in case.modes if getattr(settings, mode)]
    loads = subject == 'train' and settings.data_root is not None
    name = f'{case.name}, batches loaded' if loads else case.name
    record = dict(subject=subject, name=name, size=settings.size, faces=settings.faces, modes=modes)
    peak = plan.peak or peak_tflops(device_name(settings.device), settings.amp)
    for name, side in sides.items():
        tflops = side.flops and side.flops / side.seconds / 1e12
        record[name] = dict(
            seconds=side.seconds,
            spread=side.spread,
            runs=side.runs,
            batch=side.images,
            images_per_second=side.images / side.seconds,
            tflops=tflops,
            share_of_peak=tflops / peak if tflops and peak else None,
            memory=None if subject == 'startup' else side.memory,  # the tool is yet another process
            result=side.result,
        )
    if each := ratios(sides):
        ours, other = sides[OURS], sides[PUBLISHED]
        record['ratios'] = list(each)
        comparable = 'amp' not in modes and not loads and ours.images == other.images
        known = comparable and None not in (ours.result, other.result)
        record['same_result'] = abs(ours.result - other.result) <= SAME * abs(other.result) if known else None
    return record


@contextmanager
def _photographs(case: Case, settings: Settings) -> Iterator[Settings]:
    """The settings with a folder of images for a case that reads some: the user's, or a temporary one of noise."""
    if settings.data_root or not case.reads_photographs:
        yield settings
        return
    with TemporaryDirectory() as folder:
        root = write_wider(Path(folder) / 'wider', NOISE_PHOTOGRAPHS, settings.faces, settings.seed)
        yield replace(settings, data_root=str(root))


def markdown_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return '\n'.join(f'| {" | ".join(line)} |' for line in (head, ('---',) * len(head), *rows)) + '\n'


def markdown_table(records: Sequence[dict]) -> str:
    """A row per record; columns about the published code only where it was measured.

    The ratio is that of the images a second, the median of the runs, with the least and the largest of several.
    """
    against = any(PUBLISHED in record for record in records)
    return markdown_lines(HEAD + (AGAINST if against else ()), [_row(record, against) for record in records])


def markdown_head(machine: dict) -> str:
    """One line: where it ran."""
    return (
        f'{machine["device"]}, {machine["threads"]} thread(s), load {machine["load"]}; torch {machine["torch"]}, '
        f'Python {machine["python"]}; commit {machine["commit"]}; {machine["date"]}\n'
    )


def progress_line(record: dict) -> str:
    """What was measured, in one line for the terminal."""
    ours, other = record[OURS], record.get(PUBLISHED)
    line = f'{record["name"]}: {milliseconds(ours["seconds"])} ms a call, {ours["images_per_second"]:.3g} images/s'
    if other is None:
        return line
    return f'{line}; published {milliseconds(other["seconds"])} ms: ratio {_ratio(record["ratios"])}'


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
