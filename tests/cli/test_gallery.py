"""``mmdark gallery`` on results that ``mmdark detect`` wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmdark.cli import detect, main
from tests.inference.face_results import ToldInferencer
from tests.tiny_wider import photo


def test_the_page_shows_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detect, '_inferencer', lambda args: ToldInferencer())
    monkeypatch.chdir(tmp_path)
    Path('photos').mkdir()
    for number in range(3):
        photo(number).save(f'photos/{number}.png')
    assert main(['detect', 'photos', '--json', '--out-dir', 'out', '--quiet']) == 0
    Path('photos/1.png').unlink()
    assert main(['gallery', 'out', '--out', 'page.html']) == 3
    said = capsys.readouterr()
    assert said.out == '  page.html\n' and said.err.startswith('photos/1.png: ')
    page = Path('page.html').read_text()
    assert page.count('<article') == 2 and 'photos/0.png' in page


def test_no_results_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['gallery', str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1
