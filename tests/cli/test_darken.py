"""``mmdark darken`` writes the grid it is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdark.cli import main
from mmdark.inference.dark_grid import dark_grid
from tests.tiny_wider import photo


@pytest.mark.parametrize('name', [None, 'grid.png'])
def test_the_grid_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    photo(0).save('day.png')
    flags = ['--out', name] if name else []
    assert main(['darken', 'day.png', '--presets', 'corrected', '--seeds', '4', '5', *flags]) == 0
    expected = dark_grid(cv2.imread('day.png'), ['corrected'], [4, 5])
    assert np.array_equal(cv2.imread(name or 'day_dark.png'), expected)
    assert capsys.readouterr().out == f'{name or "day_dark.png"}: corrected, seeds 4, 5\n'


def test_a_name_that_is_no_text_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photo(0).save('day.png')
    Path('day.png').rename(os.fsdecode(b'caf\xe9.png'))
    assert main(['darken', os.fsdecode(b'caf\xe9.png'), '--presets', 'corrected', '--seeds', '0']) == 0
    assert capsys.readouterr().out == 'caf\\udce9_dark.png: corrected, seeds 0\n'
    assert Path(os.fsdecode(b'caf\xe9_dark.png')).is_file()


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['none.png'], 'none.png: '),
        (['day.png', '--presets', 'bright'], 'DarkISP has no preset bright'),
        (['day.png', '--out', 'a.gif'], '--out a.gif: name it *.jpg or *.png'),
        (['day.png', '--width', '1'], '--width 1: '),
        (['day.png', '--out', 'day.png/a.png'], 'day.png/a.png cannot be written'),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    photo(0).save('day.png')
    assert main(['darken', *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f'error: {said}') and error.count('\n') == 1
