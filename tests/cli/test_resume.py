"""A folder that was stopped at any point and resumed, and shares that are merged, give the bytes of one run."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdark.apis.work_dir_lock import only_detection
from mmdark.cli import detect, main
from mmdark.inference.json_lines import count_unfinished
from tests.inference.mate_finder import MateFinder

COUNT = 45
EVERY_FORMAT = ['--json', '--csv', '--yolo', '--wider', '--coco', '--save-vis', '--day']
OF_EACH = ('labels', 'pictures', 'wider')


@pytest.fixture
def finder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """In place of a detector, given what it does before each image; the current folder has ``photos``."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0)
    for number in range(COUNT):
        path = Path('photos', str(number // 15), f'{number:03}.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        content = cv2.imencode('.png', noise.integers(0, 255, (20, 24, 3), np.uint8))[1].tobytes()
        path.write_bytes(content[:-20] if number % 17 == 3 else content)

    def use(before: Callable[[int], object] = lambda number: None, **other: str) -> None:
        monkeypatch.setattr(detect, '_inferencer', lambda args: MateFinder(before, **other))

    use()
    return use


def files_of(folder: Path | str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob('*') if path.is_file()}


def run(out: str, *options: str) -> int:
    return main(['detect', 'photos', '--out-dir', out, '--quiet', *EVERY_FORMAT, *options])


def run_and_die(out: str, *options: str) -> int:
    """In a process of its own, which a signal may end; its exit status."""
    process = multiprocessing.get_context('fork').Process(target=lambda: os._exit(run(out, *options)))
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize('batch_size', ['1', '4'])
def test_killed_five_times_and_resumed_it_is_the_same_bytes(
    finder: Callable, batch_size: str, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ['--batch-size', batch_size]
    assert run('whole', *options) == 3
    chance, signals = random.Random(1), [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGTERM]
    ended, done = [], [0]
    for ending in signals:
        at = chance.randrange(5, 10)

        def end(number: int, at: int = at, ending: signal.Signals = ending) -> None:
            if number == at:
                signal.raise_signal(ending)

        finder(end)
        ended.append(run_and_die('killed', '--resume', *options))
        done.append(count_unfinished(Path('killed/results.jsonl')))
        assert done[-1] - done[-2] > at - 2 * int(batch_size), 'no more than a batch is lost'
    assert ended == [-9, 143, 130, -9, 143]
    finder()
    assert run('killed', '--resume', *options) == 3
    assert files_of('killed') == files_of('whole')
    finder(lambda number: pytest.fail('all is done'))
    capfd.readouterr()
    assert main(['detect', 'photos', '--out-dir', 'killed', '--resume', *EVERY_FORMAT, *options]) == 3
    assert re.search(r'score 0\.3 and above$', capfd.readouterr().out, re.MULTILINE)  # no speed of nothing
    assert files_of('killed') == files_of('whole')


def test_wherever_its_lines_are_cut_it_goes_on(finder: Callable) -> None:
    run('whole')
    lines = Path('whole/results.jsonl').read_bytes()
    shutil.copytree('whole', 'cut')
    for end in [0, 1, len(lines) - 1, len(lines) - 30, *random.Random(0).sample(range(len(lines)), 2)]:
        Path('cut/results.jsonl').write_bytes(lines[:end])
        assert run('cut', '--resume') == 3
        assert files_of('cut') == files_of('whole')


@pytest.mark.parametrize(
    ('options', 'other', 'said'),
    [
        (['--score-thr', '0.5'], {}, 'pred_score_thr 0.3 and not 0.5'),
        (['--tile', '640'], {}, 'tile auto and not 640'),
        ([], dict(kind='Other'), 'model '),
        ([], dict(weights=cv2.__file__), 'weights face_results.py '),
        (['--shard', '1/1', '--tta'], {}, 'tta False and not True'),
    ],
    ids=str,
)
def test_other_options_do_not_go_on(
    finder: Callable, options: list[str], other: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run('out')
    before = files_of('out')
    finder(**other)
    assert run('out', '--resume', *options) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        'out/results.jsonl was begun with ' in error and said in error and '--overwrite' in error and len(error) < 300
    )
    assert files_of('out') == before


def test_other_photographs_do_not_go_on_and_later_ones_do(finder: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    run('out')
    shutil.copy('photos/0/000.png', 'photos/3.png')
    assert run('out', '--resume') == 3
    assert len(json.loads(Path('out/results.json').read_text())['images']) == COUNT - 3 + 1
    os.rename('photos/0/001.png', 'photos/0/001b.png')
    assert run('out', '--resume') == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert 'photograph 2 was photos/0/001.png and is photos/0/001b.png now: give the same photographs again' in said
    shutil.rmtree('photos/2')
    Path('photos/3.png').unlink()
    os.rename('photos/0/001b.png', 'photos/0/001.png')
    assert run('out', '--resume') == 1
    assert 'photograph 31 was photos/2/030.png and is missing now' in capsys.readouterr().err


def test_a_run_that_was_stopped_is_not_lost_by_the_same_command(
    finder: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    finder(lambda number: number == 9 and signal.raise_signal(signal.SIGTERM))
    assert run('out') == 143
    assert json.loads(Path('out/results.json').read_text())['complete'] is False
    said = 'ended by SIGTERM after 9 of 45 images; these are kept, the same command with --resume goes on'
    assert said in capsys.readouterr().err
    finder()
    before = files_of('out')
    assert run('out') == 1
    assert capsys.readouterr().err == (
        'error: out/results.jsonl holds 9 photographs of a run that was stopped: go on with --resume, begin anew with '
        '--overwrite, or name another --out-dir\n'
    )
    assert files_of('out') == before
    assert run('out', '--overwrite') == run('out') == 3, 'a complete one is replaced'


def hold(place: str, ready: multiprocessing.Event) -> None:
    with only_detection(Path(place)):
        ready.set()
        signal.pause()


def test_a_second_run_into_one_folder_stops_with_a_line(finder: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    run('out')
    before, context = files_of('out'), multiprocessing.get_context('fork')
    ready = context.Event()
    holder = context.Process(target=hold, args=('out/results.jsonl', ready))
    holder.start()
    ready.wait(30)
    capsys.readouterr()
    assert run('out') == 1
    line = capsys.readouterr().err
    holder.kill()
    holder.join()
    assert line.startswith('error: another detection writes to out/results.jsonl (host ') and line.count('\n') == 1
    assert f'process {holder.pid}, ' in line and '--out-dir' in line
    assert run('out') == 3, 'the lock of a dead process holds nobody'
    assert files_of('out').keys() == before.keys(), 'and is taken away'


@pytest.mark.parametrize('batch_size', ['1', '3', '70'])
@pytest.mark.parametrize('apart', [False, True], ids=['one folder', 'a folder each'])
def test_shares_that_are_merged_are_one_run(finder: Callable, batch_size: str, apart: bool) -> None:
    run('whole', '--batch-size', batch_size)
    for part in (2, 1, 3):
        status = run(f'out{part}' if apart else 'out', '--shard', f'{part}/3', '--batch-size', batch_size)
        assert status in (0, 3)
    folders = ['out3', 'out1', 'out2', '--out-dir', 'out'] if apart else ['out']
    assert main(['merge', *folders, '--quiet']) == 3
    found, whole = files_of('out'), files_of('whole')
    del whole['results.jsonl']
    assert {name: content for name, content in found.items() if not name.startswith('results.')} == {
        name: content for name, content in whole.items() if not name.startswith('results.')
    }
    assert all(found[name] == whole[name] for name in ('results.json', 'results.csv', 'coco_results.json'))


def test_what_is_no_whole_run_is_not_merged(finder: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    def error(*arguments: str) -> str:
        assert main(['merge', *arguments]) == 1
        said = capsys.readouterr().err.splitlines()
        assert len(said[-1]) < 300 and 'Traceback' not in said
        return said[-1]

    run('a', '--shard', '1/2')
    assert '1 of 2 shares are missing, the first is 2/2' in error('a')
    finder(lambda number: number == 9 and signal.raise_signal(signal.SIGINT))
    assert run('b', '--shard', '2/2') == 130
    assert not Path('b/results.json').exists()
    assert 'b/results.2-of-2.jsonl is not complete: give its mmdark detect command again with --resume' in error(
        'a', 'b', '--out-dir', 'c'
    )
    finder()
    run('b', '--shard', '2/2', '--resume')
    shutil.copytree('a', 'copy')
    assert 'share 1/2 is there twice' in error('a', 'copy', 'b', '--out-dir', 'c')
    run('d', '--shard', '2/2', '--score-thr', '0.9')
    assert 'are of different runs (pred_score_thr)' in error('a', 'd', '--out-dir', 'c')
    assert 'none: no results.jsonl of mmdark detect' in error('none')
    Path('e').mkdir()
    for content in ('', '{}\n', '[1]\n', '{"shard": "x"}\n', '\0\n'):
        Path('e/results.jsonl').write_text(content)
        assert 'e/results.jsonl was not written by mmdark detect' in error('e') or 'shard x: give' in error('e')
    assert not Path('c').exists()
    with pytest.raises(SystemExit, match='2'):
        main(['merge', 'a', 'b'])


@pytest.mark.parametrize('shard', ['0/2', '3/2', '1', '1/0', 'a/b', '1/2/3', '-1/2'])
def test_shards_that_are_none(finder: Callable, shard: str) -> None:
    with pytest.raises(SystemExit, match='2'):
        run('out', '--shard', shard)


def test_more_shares_than_photographs(finder: Callable) -> None:
    for part in (1, 2, 3):
        assert main(['detect', 'photos/0/000.png', '--shard', f'{part}/3', '--quiet', '--json']) == 0
    assert main(['merge', 'mmdark_out', '--quiet']) == 0
    assert len(json.loads(Path('mmdark_out/results.json').read_text())['images']) == 1


def test_other_lists_are_made_without_looking_again(finder: Callable) -> None:
    run('whole')
    assert main(['detect', 'photos', '--out-dir', 'out', '--json', '--quiet']) == 3
    assert main(['merge', 'out', '--csv', '--coco', '--quiet']) == 3
    found, whole = files_of('out'), files_of('whole')
    assert all(found[name] == whole[name] for name in ('results.csv', 'coco_images.json', 'coco_results.json'))
