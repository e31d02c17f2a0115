"""All subjects: measure them one after the other, and hold what came out in records that JSON takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from .data import DATA
from .head import DETECTIONS, LOSS
from .inputs import write_wider
from .interleave import OURS, PUBLISHED, Case, Measured, measure, ratios
from .isp import CASES
from .machine import device_name, peak_tflops
from .network import FORWARD, STEP
from .settings import Settings
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


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        checkout: of the published code; None measures ours alone.
        repeats: turns of each side in a run.
        runs: how often everything is done anew, in new processes.
        peak: dense TFLOP/s of the device; None: what is known of it.
    """

    checkout: Path | None = None
    repeats: int = 5
    runs: int = 1
    peak: float | None = None


def run_subject(subject: str, settings: Settings, plan: Plan) -> Iterator[dict]:
    """Measure the cases of a subject; a record each, see :func:`case_record`.

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
    """What was measured, in seconds of one call, images a second, TFLOP/s and bytes."""
    modes = [mode for mode in case.modes if getattr(settings, mode)]
    loads = subject == 'train' and settings.data_root is not None
    name = f'{case.name}, batches loaded' if loads else case.name
    record = dict(subject=subject, name=name, size=settings.size, faces=settings.faces, modes=modes)
    peak = plan.peak or peak_tflops(device_name(settings.device), settings.amp)
    for name, side in sides.items():
        tflops = side.flops and side.flops / side.seconds / 1e12
        of_peak = tflops / peak if tflops and peak and name == OURS else None
        record[name] = dict(
            seconds=side.seconds,
            spread=side.spread,
            runs=side.runs,
            batch=side.images,
            images_per_second=side.images / side.seconds,
            tflops=tflops,
            share_of_peak=of_peak,
            memory=None if subject == 'startup' else side.memory,  # the tool is yet another process
            result=side.result,
        )
    each = ratios(sides)
    if each:
        record['ratios'] = list(each)
        comparable = 'amp' not in modes and not loads and sides[OURS].images == sides[PUBLISHED].images
        record['same_result'] = _same(sides[OURS].result, sides[PUBLISHED].result) if comparable else None
    return record


def _same(ours: float | None, other: float | None) -> bool | None:
    return None if None in (ours, other) else abs(ours - other) <= SAME * abs(other)


@contextmanager
def _photographs(case: Case, settings: Settings) -> Iterator[Settings]:
    """The settings with a folder of images for a case that reads some: the user's, or one of noise for the while."""
    if settings.data_root or not case.reads_photographs:
        yield settings
        return
    with TemporaryDirectory() as folder:
        root = write_wider(Path(folder) / 'wider', NOISE_PHOTOGRAPHS, settings.faces, settings.seed)
        yield replace(settings, data_root=str(root))
