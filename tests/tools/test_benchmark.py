"""The benchmark tool as people call it."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from tests.tiny_wider import LITE, QUICKSTART, ROOT

TOOL = str(ROOT / 'tools' / 'analysis_tools' / 'benchmark.py')


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, 'argv', [TOOL, *map(str, arguments)])
    runpy.run_path(TOOL, run_name='__main__')


def test_a_subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    options = ['--cfg-options', *(f'{key}={value}'.replace(' ', '') for key, value in LITE.items())]
    files = ['--json', tmp_path / 'a.json', '--markdown', tmp_path / 'a.md']
    run(monkeypatch, 'loss', '--config', QUICKSTART, '--size', 64, '--repeats', 2, *files, *options)
    said = capsys.readouterr().out
    (record,) = json.loads((tmp_path / 'a.json').read_text())['records']
    assert record['size'] == 64 and [len(turns) for turns in record['ours']['runs']] == [2]
    assert record['ours']['seconds'] > 0 and record['ours']['batch'] == 4
    table = (tmp_path / 'a.md').read_text().splitlines()
    assert table[-1].startswith('| matching and PAL losses of one shot') and table[-1] in said


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['isp', '--against', '{tmp}'], 'data/config.py is not there'),
        (['data', '--data-root', '{tmp}/none'], 'there is no such folder'),
        (['loss', '--config', 'none.py'], 'config none.py does not exist'),
    ],
)
def test_what_cannot_be_used(arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=says):
        run(monkeypatch, *(argument.format(tmp=tmp_path) for argument in arguments))
