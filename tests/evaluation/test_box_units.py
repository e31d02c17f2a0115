"""Predictions in other units than the format's get a hint, and good or poor ones in the right units none."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmdark.errors import run_or_explain
from mmdark.evaluation.box_units import CENTRES, CORNERS, SIZES, unit_hints
from tests.evaluation.tiny_predictions import write_mats
from tests.tiny_wider import ROOT

WRITTEN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    CORNERS: lambda box: box,
    SIZES: lambda box: np.c_[box[:, :2], box[:, 2:] - box[:, :2]],
    CENTRES: lambda box: np.c_[(box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]],
    'fractions': lambda box: box / 1000,
}
"""Units → what they make of x1 y1 x2 y2."""


def boxes(seed: int, shift: float = 0.1) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Faces x1 y1 x2 y2 anywhere in images of 1000 pixels, and detections that are ``shift`` of a side away."""
    rng = np.random.default_rng(seed)
    faces, found = {}, {}
    for name in map(str, range(30)):
        corner, side = rng.uniform(0, 900, (5, 2)), rng.uniform(20, 100, (5, 2))
        faces[name] = np.c_[corner, corner + side].round()
        found[name] = faces[name] + shift * np.tile(side, 2)
    return faces, found


def scored(found: dict[str, np.ndarray], units: str) -> dict[str, np.ndarray]:
    return {name: np.c_[WRITTEN[units](rows), np.linspace(1, 0.1, len(rows))] for name, rows in found.items()}


@pytest.mark.parametrize('wanted', [CORNERS, SIZES])
@pytest.mark.parametrize('given', WRITTEN)
def test_each_unit_is_told(wanted: str, given: str) -> None:
    faces, found = boxes(1)
    faces = {name: WRITTEN[wanted](rows) for name, rows in faces.items()}
    hints = unit_hints(scored(found, given), faces, wanted)
    if given == wanted:
        assert hints == []
    elif given == 'fractions':
        assert hints == [f'all boxes are between 0 and 1, as fractions of the image are: write {wanted}, in pixels']
    else:
        assert len(hints) == 1 and hints[0].startswith(f'as {given} the rows would find 150 of 150 faces')
        assert hints[0].endswith(f'write {wanted}, in pixels')


@pytest.mark.parametrize('shift', [0.5, 1, 5])
def test_a_poor_detector_gets_no_hint(shift: float) -> None:
    faces, found = boxes(2, shift)
    assert unit_hints(scored(found, CORNERS), faces, CORNERS) == []


def test_nothing_to_compare_gets_no_hint() -> None:
    face = {'a': np.array([[1.0, 2, 3, 4]])}
    assert unit_hints({}, face, CORNERS) == unit_hints({'a': np.zeros((0, 5))}, face, CORNERS) == []
    assert unit_hints({'a': np.ones((1, 5))}, {'a': np.zeros((0, 4))}, CORNERS) == []


def said(tool: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *arguments: object) -> str:
    """What a scoring tool says on stderr."""
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
    main = runpy.run_path(str(ROOT / f'tools/analysis_tools/{tool}.py'))['main']
    run_or_explain(main)
    return capsys.readouterr().err


def test_the_scoring_tools_say_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """WIDER FACE's rows as corners, and DARK FACE's as sizes and centres; each was 0 without a word."""
    truth = write_mats(tmp_path / 'mats')
    (tmp_path / 'wider/1--Riot').mkdir(parents=True)
    (tmp_path / 'wider/1--Riot/b.txt').write_text('b\n1\n30 30 40 40 0.9\n')
    err = said('eval_wider', monkeypatch, capsys, tmp_path / 'wider', '--gt', truth)
    assert 'problem: as x1 y1 x2 y2 the rows would find 1 of 1 faces, as x y w h they find 0' in err
    for folder, text in (('gt', '1\n300 200 340 250\n'), ('pred', '320 225 40 50 0.9\n')):
        (tmp_path / 'dark' / folder).mkdir(parents=True)
        (tmp_path / 'dark' / folder / '1.txt').write_text(text)
    err = said('eval_dark_face', monkeypatch, capsys, tmp_path / 'dark')
    assert 'problem: as cx cy w h the rows would find 1 of 1 faces, as x1 y1 x2 y2 they find 0' in err
    (tmp_path / 'dark/pred/1.txt').write_text('0.3 0.2 0.34 0.25 0.9\n')
    assert 'problem: all boxes are between 0 and 1' in said('eval_dark_face', monkeypatch, capsys, tmp_path / 'dark')
