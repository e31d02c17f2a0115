"""The newest whole checkpoint is found, whatever a kill, a copy or a bad disk has left."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import torch
from mmengine.config import Config

from mmdark.apis import choose_start, last_checkpoint, note_start
from mmdark.apis.resume import LAUNCHED
from tests.tiny_wider import lite_runner, write_wider


def write(path: Path, time: str | None, iteration: int, age: int = 0, **content: Any) -> Path:
    """A checkpoint written at ``time``; ``age`` is the time of the file itself."""
    meta = {'iter': iteration} | ({'time': time} if time else {})
    weights = {'weight': torch.arange(10000.0)}
    torch.save({'meta': meta, 'state_dict': weights, 'optimizer': {}, **content}, path)
    os.utime(path, (age, age))
    return path


def bit_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Written in this order: 100, 200, then anew from 100 to 150; copied in another order; the record is one behind."""
    write(tmp_path / 'iter_100.pth', '20260101_100000', 100, age=4000)
    write(tmp_path / 'iter_200.pth', '20260101_110000', 200, age=3000)
    write(tmp_path / 'iter_140.pth', '20260102_100000', 140, age=2000)
    write(tmp_path / 'iter_150.pth', '20260102_100000', 150, age=1000)
    torch.save({'meta': {'iter': 150, 'time': '20260103_000000'}, 'state_dict': {}}, tmp_path / 'best_AP_iter_150.pth')
    (tmp_path / '.iter_160.pth.7.part').write_bytes(b'half')
    (tmp_path / 'last_checkpoint').write_text(f'{tmp_path}/iter_140.pth')
    return tmp_path


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert last_checkpoint(str(tmp_path)) is None and last_checkpoint(str(tmp_path / 'none')) is None


def test_the_one_written_last_is_found(folder: Path) -> None:
    lines: list[str] = []
    assert last_checkpoint(str(folder), say=lines.append) == str(folder / 'iter_150.pth') and lines == []
    (folder / 'last_checkpoint').write_text('')
    assert last_checkpoint(str(folder)) == str(folder / 'iter_150.pth')


@pytest.mark.parametrize('damage', [bit_flipped, cut_off, lambda path: path.write_bytes(b'')])
def test_a_damaged_one_is_named_and_left_out(folder: Path, damage: Any) -> None:
    lines: list[str] = []
    damage(folder / 'iter_150.pth')
    assert last_checkpoint(str(folder), say=lines.append) == str(folder / 'iter_140.pth')
    (line,) = lines
    assert 'iter_150.pth' in line and 'left out' in line
    for name in ('iter_100.pth', 'iter_140.pth', 'iter_200.pth'):
        damage(folder / name)
    assert last_checkpoint(str(folder), say=lines.append) is None


def test_only_what_was_written_since(folder: Path) -> None:
    assert last_checkpoint(str(folder), '20260102_100000') == str(folder / 'iter_150.pth')
    assert last_checkpoint(str(folder), '20260102_100001') is None


def test_files_without_a_time_count_by_their_own(tmp_path: Path) -> None:
    write(tmp_path / 'a.pth', None, 5, age=1000)
    write(tmp_path / 'b.pth', None, 4, age=900_000_000)
    assert last_checkpoint(str(tmp_path)) == str(tmp_path / 'b.pth')


def test_another_folder_for_checkpoints_is_searched(tmp_path: Path) -> None:
    (tmp_path / 'run').mkdir()
    (tmp_path / 'out').mkdir()
    path = write(tmp_path / 'out' / 'iter_5.pth', '20260101_100000', 5)
    (tmp_path / 'run' / 'last_checkpoint').write_text(str(path))
    assert last_checkpoint(str(tmp_path / 'run')) == str(path)


def test_the_old_format_is_found(tmp_path: Path) -> None:
    torch.save({'optimizer': {}, 'meta': {'iter': 3}}, tmp_path / 'a.pth', _use_new_zipfile_serialization=False)
    assert last_checkpoint(str(tmp_path)) == str(tmp_path / 'a.pth')


def chosen(folder: Path, resume: str | None, load_from: str | None = 'start.pth', go_on: bool = False) -> tuple:
    lines: list[str] = []
    runner = SimpleNamespace(
        work_dir=str(folder), logger=SimpleNamespace(warning=lines.append), _load_from=load_from, _resume=go_on
    )
    choose_start(runner, resume)
    return runner._load_from, runner._resume, lines


def test_a_training_starts_where_it_is_told_to(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty, newest = tmp_path_factory.mktemp('empty'), str(folder / 'iter_150.pth')
    assert chosen(folder, None) == ('start.pth', False, [])
    assert chosen(folder, 'auto') == (newest, True, [])
    assert chosen(folder, 'mine.pth') == ('mine.pth', True, [])
    assert chosen(folder, None, None, go_on=True) == (newest, True, [])  # resume=True of the config
    assert chosen(folder, None, 'other.pth', go_on=True) == ('other.pth', True, [])
    for resume, go_on, load_from in (('auto', False, 'start.pth'), (None, True, None)):
        *start, (line,) = chosen(empty, resume, load_from, go_on)
        assert start == [load_from, False] and line == (
            f'--resume: there is no checkpoint in {empty}, the training starts anew'
        )


def test_started_again_by_torchrun_it_goes_on_with_its_own_checkpoints(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LAUNCHED, '20260102_095959')
    for resume in (None, 'auto', 'mine.pth'):
        path, go_on, (line,) = chosen(folder, resume)
        assert (path, go_on) == (str(folder / 'iter_150.pth'), True) and 'started again' in line
    monkeypatch.setenv(LAUNCHED, '20260103_000000')  # those of an older training are not its own
    assert chosen(folder, None) == ('start.pth', False, [])
    assert chosen(folder, 'mine.pth') == ('mine.pth', True, [])


@pytest.mark.parametrize('resume', [None, 'auto'])
def test_the_log_says_what_a_training_goes_on_from(tmp_path: Path, resume: str | None) -> None:
    """As ``tools/train.py`` does it; the reader joins the starts by it, and the file of the config stays as it was."""
    for start in (None, resume):
        own = {'visualizer.name': uuid4().hex}  # mmengine keeps one of each name
        runner = lite_runner(write_wider(tmp_path / uuid4().hex, train=2), tmp_path / 'run', options=own)
        choose_start(runner, start)
        note_start(runner)
        if start is None:
            write(tmp_path / 'run' / 'iter_5.pth', '20260101_100000', 5)
    config = Config.fromfile(Path(runner._log_dir) / 'vis_data' / 'config.py')
    expected = (True, str(tmp_path / 'run' / 'iter_5.pth')) if resume else (False, None)
    assert (config.resume, config.load_from) == expected
    assert not runner.cfg.resume
