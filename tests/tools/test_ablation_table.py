"""The tool that compares trainings, as people call it."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from tests.tiny_runs import write_run
from tests.tiny_wider import ROOT


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    tool = ROOT / 'tools' / 'analysis_tools' / 'ablation_table.py'
    monkeypatch.setattr(sys, 'argv', [tool.name, *map(str, arguments)])
    runpy.run_path(str(tool), run_name='__main__')


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    names = ('dsfd_dark_wider_no-mutual', 'dsfd_dark_wider')
    return [
        write_run(
            tmp_path / f'{name}_{seed}',
            name,
            [{'dark': 0.9}, {'dark': 0.5 + 0.1 * seed - 0.2 * (name == names[0])}],
            seed,
            max_epochs=2,
        )
        for name in names
        for seed in (0, 1)
    ]


def test_prints_and_writes_the_same_table(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'empty').mkdir()
    out = tmp_path / 'docs' / 'table.md'
    call(monkeypatch, *runs, tmp_path / 'empty', '--out', out)
    said = capsys.readouterr().out
    assert out.read_text() == said
    assert said.splitlines()[:4] == [
        '| config | seeds | length | dark/wider/AP |',
        '| --- | ---: | ---: | ---: |',
        '| dsfd_dark_wider | 2 | 2 epochs | 0.5500 [0.5000, 0.6000] |',
        '| dsfd_dark_wider_no-mutual | 2 | 2 epochs | 0.3500 [0.3000, 0.4000] (-0.2000) |',
    ]
    assert said.splitlines()[-1].startswith(f'- {tmp_path / "empty"} holds no log of a training')


def test_best_and_another_reference(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = 'configs/ablations/dsfd_dark_wider_no-mutual.py'
    call(monkeypatch, *runs, '--best', '--metric', 'dark/wider/AP', '--reference', reference)
    rows = capsys.readouterr().out.splitlines()[2:4]
    assert rows == [
        '| dsfd_dark_wider_no-mutual | 2 | 2 epochs | 0.9000 [0.9000, 0.9000] |',
        '| dsfd_dark_wider | 2 | 2 epochs | 0.9000 [0.9000, 0.9000] (+0.0000) |',
    ]


def test_errors_are_one_line_and_lose_nothing(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, tmp_path / 'nowhere')
    assert (
        str(caught.value.code).startswith(f'error: {tmp_path / "nowhere"} holds no log')
        and capsys.readouterr().out == ''
    )
    (tmp_path / 'file').write_text('')
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, *runs, '--out', tmp_path / 'file' / 'table.md')
    assert 'cannot be written' in caught.value.code and 'dsfd_dark_wider_no-mutual' in capsys.readouterr().out
