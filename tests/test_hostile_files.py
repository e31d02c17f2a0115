"""Checkpoints and archives that mean harm, in a child with 4 GB and 20 seconds: a line each, and nothing is run.

``MMDARK_FUZZ=full pytest tests/test_hostile_files.py`` takes all of them, with bombs of full size (two minutes).
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from mmdark.apis import last_checkpoint
from mmdark.apis.export import export_weights
from mmdark.compat import read_checkpoint
from mmdark.evaluation.prediction_files import read_dark_face_predictions, read_wider_predictions
from mmdark.inference.detector import load_detector
from tests.hostile_files import ARCHIVES, CHECKPOINTS, LARGE, Build, built
from tests.limited_child import LimitedChild, Outcome, faults

FEW = 16
"""Files of each kind without ``MMDARK_FUZZ=full``."""

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='limits and forks as Linux has them')


def detect(path: Path) -> None:
    load_detector(weights=path)


def detect_by_name(path: Path) -> None:
    load_detector('dsfd_dark_lite_wider', path)


def export(path: Path) -> None:
    export_weights(path, path.with_name('out.pth'))


def resume(path: Path) -> None:
    last_checkpoint(str(path.parent))
    read_checkpoint(path, mmap=True)


def wider(path: Path) -> None:
    read_wider_predictions(path, ['e/a', 'e/b', 'e/c', 'e/d'])


def dark_face(path: Path) -> None:
    read_dark_face_predictions(path, ['a', 'b', 'c', 'd'])


def some(builders: dict[str, Build]) -> dict[str, Build]:
    names = list(builders) if LARGE else random.Random(0).sample(list(builders), FEW)
    return {name: builders[name] for name in names}


@pytest.fixture(scope='module')
def child() -> LimitedChild:
    with LimitedChild() as started:
        yield started


def test_there_are_as_many_as_promised() -> None:
    assert len(CHECKPOINTS) == 40 and len(ARCHIVES) == 20


@pytest.mark.parametrize(
    ('builders', 'uses', 'suffix'),
    [(CHECKPOINTS, (detect, detect_by_name, export, resume), '.pth'), (ARCHIVES, (wider, dark_face), '.zip')],
    ids=['checkpoints', 'archives'],
)
def test_each_file_gives_a_line_and_runs_nothing(
    builders: dict[str, Build], uses: tuple, suffix: str, child: LimitedChild, tmp_path: Path
) -> None:
    outcomes: dict[str, Outcome] = {}
    marks = []
    for number, (name, build) in enumerate(some(builders).items()):
        path, mark = built(build, tmp_path / str(number), suffix)
        marks.append(mark)
        outcomes |= {f'{name}: {use.__name__}': child.run(use, path) for use in uses}
        path.unlink() if path.is_file() else None
    slowest = max(outcomes, key=lambda name: outcomes[name].seconds)
    kinds = [outcome.kind for outcome in outcomes.values()]
    print(
        f'{len(marks)} files, {len(outcomes)} cases: {kinds.count("refused")} refused, {kinds.count("read")} read; '
        f'slowest {slowest}, {outcomes[slowest].seconds:.1f} s; peak {max(o.peak for o in outcomes.values())} MB'
    )
    assert faults(outcomes) == {}
    assert [mark for mark in marks if mark.exists()] == []
