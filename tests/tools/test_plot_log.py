"""``plot_log.py`` as a person calls it: resumed runs, cut lines, empty folders."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from tests.tiny_wider import ROOT


def write(work_dir: Path, start: str, iterations: range, resume: bool = False, end: str = '') -> Path:
    """What one start of a training leaves: two iterations an epoch, a validation after each."""
    folder = work_dir / start / 'vis_data'
    folder.mkdir(parents=True)
    lines = []
    for iteration in iterations:
        lines.append({'loss': 10.0 / iteration, 'iter': iteration, 'epoch': (iteration + 1) // 2, 'step': iteration})
        if iteration % 2 == 0:
            lines.append({'dark/wider/AP': 0.01 * iteration, 'dark/pal2_loss': 1.0, 'step': iteration // 2})
    (folder / 'scalars.json').write_text(''.join(f'{json.dumps(line)}\n' for line in lines) + end)
    (folder / 'config.py').write_text(f'resume = {resume}\nrandomness = dict(seed=3)\n')
    (work_dir / 'mine.py').write_text((folder / 'config.py').read_text())
    return folder / 'scalars.json'


def plot(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, 'argv', ['plot_log.py', *map(str, arguments)])
    runpy.run_path(str(ROOT / 'tools' / 'analysis_tools' / 'plot_log.py'), run_name='__main__')


def test_a_resumed_run_is_one_and_a_cut_line_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work_dir, out = tmp_path / 'work', tmp_path / 'curves.png'
    cut = write(work_dir, '20260101_000000', range(1, 8), end='{"loss": 3.1, "it')
    write(work_dir, '20260102_000000', range(5, 11), resume=True)
    plot(monkeypatch, work_dir, '--out', out)
    said = capsys.readouterr()
    assert said.err == f'note: the last line of {cut} is cut off and left out\n'
    assert said.out == f'{work_dir}: mine, 10 iterations, 5 validations\ncurves: {out}\n'
    assert out.read_bytes().startswith(b'\x89PNG')


def test_a_file_alone_and_chosen_scalars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / 'work', '20260101_000000', range(1, 5))
    plot(monkeypatch, file, '--out', tmp_path / 'a.svg', '--keys', '*AP', '--smooth', '2')
    text = (tmp_path / 'a.svg').read_text()
    assert 'dark/wider/AP' in text and 'pal2_loss' not in text


@pytest.mark.parametrize(
    ('arguments', 'line'),
    [
        (['none', '--out', 'a.png'], 'error: none holds no log of a training'),
        (['none', '--out', 'a.txt'], 'error: --out a.txt: curves can be .pdf, .png, .svg'),
        (['none', '--out', 'a.png', '--smooth', '0'], 'error: --smooth 0: name a number from 1'),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as caught:
        plot(monkeypatch, *arguments)
    assert str(caught.value.code).startswith(line) and '\n' not in str(caught.value.code)
