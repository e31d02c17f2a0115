"""``mmdark detect``: options, exit statuses, and what it says; once as a process with a detector and a true Ctrl-C."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS

from mmdark.apis.work_dir_lock import only_detection
from mmdark.cli import detect, main
from mmdark.errors import InputError
from tests.inference.face_results import ToldInferencer
from tests.inference.tiny_video import SquareFinder, lines_of, write_video
from tests.tiny_wider import lite_config, photo

ROOT = Path(__file__).resolve().parents[2]
CORNERS = ('x1', 'y1', 'x2', 'y2')


def write_photos(folder: Path, count: int = 4) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        photo(number).save(folder / f'{number:03}.png')
    return folder


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToldInferencer:
    """In place of a detector; the current folder is empty but for ``photos``."""
    inferencer = ToldInferencer()
    monkeypatch.setattr(detect, '_inferencer', lambda args: inferencer)
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / 'photos')
    return inferencer


def kinds(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {'results.jsonl'}


@pytest.mark.parametrize(
    ('flags', 'expected'),
    [
        ([], {'results.json', 'pictures'}),
        (['--save-vis', '--json'], {'results.json', 'pictures'}),
        (['--csv'], {'results.csv'}),
        (['--yolo', '--wider'], {'labels', 'wider'}),
        (['--coco'], {'coco_images.json', 'coco_results.json'}),
    ],
    ids=lambda value: str(sorted(value)),
)
def test_each_flag_writes_what_it_says(
    told: ToldInferencer, flags: list[str], expected: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['detect', 'photos', '--out-dir', 'out', *flags]) == 0
    assert kinds(Path('out')) == expected
    said = capsys.readouterr().out
    assert said.startswith('4 faces on 4 of 4 images, score 0.3 and above, ')
    assert {Path(line.strip()).name for line in said.splitlines()[1:]} == expected


def test_broken_files_give_status_3_and_a_list(told: ToldInferencer, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in (('b.jpg', b''), ('c.jpg', b'text'), ('d.png', Path('photos/000.png').read_bytes()[:200])):
        Path('photos', name).write_bytes(content)
    assert main(['detect', 'photos', '--out-dir', 'out']) == 3
    said = capsys.readouterr()
    assert said.err.startswith('3 files could not be read:\n')
    assert said.out.startswith('4 faces on 4 of 4 images that could be read, score 0.3')
    assert [line.split(':')[0].strip() for line in said.err.splitlines()[1:]] == [
        'photos/b.jpg',
        'photos/c.jpg',
        'photos/d.png',
    ]
    content = json.loads(Path('out/results.json').read_text())
    assert (len(content['images']), len(content['broken'])) == (4, 3)
    assert content['model'] == 'told' and content['weights'] == told.weights and content['score_thr'] == 0.3


def test_all_broken_is_an_error(told: ToldInferencer, capsys: pytest.CaptureFixture[str]) -> None:
    Path('b.jpg').write_bytes(b'')
    assert main(['detect', 'b.jpg', '--out-dir', 'out', '--quiet']) == 1
    said = capsys.readouterr()
    assert said.out == '' and said.err.startswith('1 file could not be read:\n  b.jpg: ')


def test_a_run_that_looks_at_nothing_leaves_earlier_results(
    told: ToldInferencer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['detect', 'photos', '--out-dir', 'out', '--quiet']) == 0
    before = Path('out/results.json').read_bytes()

    def stream(inputs: object, **options: object) -> object:
        raise InputError('no memory')
        yield

    monkeypatch.setattr(told, 'stream', stream, raising=False)
    assert main(['detect', 'photos', '--out-dir', 'out', '--quiet']) == 1
    assert main(['detect', 'photos', '--out-dir', 'out', '--tile', '100']) == 1
    assert Path('out/results.json').read_bytes() == before
    assert "tile=100: give the side of a tile in pixels, 384 or more, or 'auto'" in capsys.readouterr().err


def test_quiet_says_nothing(told: ToldInferencer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['detect', 'photos', '--quiet']) == 0
    assert capsys.readouterr() == ('', '') and kinds(Path('mmdark_out')) == {'results.json', 'pictures'}


def test_videos_of_one_name_have_files_of_their_own(told: ToldInferencer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, '_inferencer', lambda args: SquareFinder(Path('weights')))
    for name, frames in (('c.avi', 3), ('c.mp4', 5)):
        write_video(Path(name), frames)
    for flags in ([], ['--overwrite']):
        assert main(['detect', 'c.avi', 'c.mp4', 'c.avi', '--out-dir', 'out', '--quiet', *flags]) == 0
        assert kinds(Path('out')) == {'c.frames.jsonl', 'c.mp4', 'c.mp4.frames.jsonl', 'c.mp4.mp4'}
        assert [len(lines_of(Path(f'out/{name}.frames.jsonl'))) for name in ('c', 'c.mp4')] == [3, 5]


def test_json_and_csv_are_written_of_videos(
    told: ToldInferencer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detect, '_inferencer', lambda args: SquareFinder(Path('weights')))
    write_video(Path('b.avi'), 3)
    assert main(['detect', 'b.avi', '--out-dir', 'out', '--json', '--csv', '--yolo']) == 0
    lines = lines_of(Path('out/b.frames.jsonl'))
    content = json.loads(Path('out/b.frames.json').read_text())
    assert content['frames'] == lines and content['source'] == 'b.avi' and content['pred_score_thr'] == 0.3
    with Path('out/b.frames.csv').open(newline='') as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    expected = [
        {
            'frame': line['frame'],
            'seconds': line['seconds'],
            **dict(zip(CORNERS, one['bbox'], strict=True)),
            'score': one['score'],
        }
        for line in lines
        for one in line['faces']
    ]
    assert rows == expected and len(rows) == 3
    said = capsys.readouterr()
    assert said.err == '--yolo is for images: of videos NAME.frames.jsonl is written\n'
    assert (
        kinds(Path('out'))
        == {'b.frames.jsonl', 'b.frames.json', 'b.frames.csv'}
        == {Path(line.strip()).name for line in said.out.splitlines()[1:]}
    )


def test_sigterm_keeps_the_frames_of_a_video(
    told: ToldInferencer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(looks: int) -> None:
        if looks == 7:
            signal.raise_signal(signal.SIGTERM)

    write_video(Path('b.avi'), 10)
    monkeypatch.setattr(detect, '_inferencer', lambda args: SquareFinder(Path('weights'), end))
    handler = signal.getsignal(signal.SIGTERM)
    assert main(['detect', 'b.avi', '--out-dir', 'out', '--quiet']) == 143
    assert signal.getsignal(signal.SIGTERM) == handler
    assert capsys.readouterr().err == 'b.avi: ended by SIGTERM; the same command goes on\n'
    assert len(lines_of(Path('out/b.frames.jsonl'))) == 7 and kinds(Path('out')) == {'b.frames.jsonl'}
    monkeypatch.setattr(detect, '_inferencer', lambda args: SquareFinder(Path('weights')))
    assert main(['detect', 'b.avi', '--out-dir', 'out', '--quiet']) == 0
    assert len(lines_of(Path('out/b.frames.jsonl'))) == 10 and Path('out/b.mp4').exists()


def hold(ready: multiprocessing.Event) -> None:
    with only_detection(Path('out/b.frames.jsonl')):
        ready.set()
        signal.pause()


def test_a_second_run_on_one_video_stops_with_a_line(
    told: ToldInferencer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detect, '_inferencer', lambda args: SquareFinder(Path('weights')))
    for name in ('a.avi', 'b.avi'):
        write_video(Path(name), 3)
    context = multiprocessing.get_context('fork')
    ready = context.Event()
    holder = context.Process(target=hold, args=(ready,))
    holder.start()
    ready.wait(30)
    assert main(['detect', 'b.avi', '--out-dir', 'out', '--quiet']) == 1
    assert main(['detect', 'a.avi', '--out-dir', 'out', '--quiet', '--json']) == 0, (
        'another video is none of its business'
    )
    holder.kill()
    holder.join()
    line = capsys.readouterr().err
    assert line.startswith('error: another detection writes to out/b.frames.jsonl (host ') and line.count('\n') == 1
    assert kinds(Path('out')) == {'a.frames.jsonl', 'a.frames.json', '.b.frames.jsonl.lock'}
    assert main(['detect', 'b.avi', '--out-dir', 'out', '--quiet', '--json']) == 0


def test_a_video_that_fails_does_not_stop_the_others(
    told: ToldInferencer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detect, '_inferencer', lambda args: SquareFinder(Path('weights')))
    Path('a.mp4').write_bytes(b'no video')
    write_video(Path('b.avi'), 3)
    assert main(['detect', 'a.mp4', 'b.avi', '--out-dir', 'out', '--quiet']) == 3
    assert capsys.readouterr().err.splitlines()[-1].startswith('failed: ')
    assert len(lines_of(Path('out/b.frames.jsonl'))) == 3
    assert main(['detect', 'a.mp4', '--out-dir', 'out', '--quiet']) == 1


def test_a_second_run_does_not_look_at_the_pictures_of_the_first(told: ToldInferencer) -> None:
    for _ in range(2):
        assert main(['detect', '.', 'photos/000.png', '--quiet']) == 0
    assert len(json.loads(Path('mmdark_out/results.json').read_text())['images']) == 4
    assert main(['detect', 'mmdark_out/pictures', '--out-dir', 'mmdark_out', '--json', '--quiet']) == 0


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['none'], 'none does not exist'),
        (['http://a/b.jpg'], 'does not download'),
        (['photos', '--out-dir', 'photos/000.png'], 'photos/000.png cannot be written'),
        (['none.mp4'], 'none.mp4'),
        (['photos', 'none.mp4'], 'none.mp4'),
        (['*.mp4'], 'pattern *.mp4 matches no video'),
    ],
    ids=str,
)
def test_mistakes_are_one_line(
    told: ToldInferencer, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['detect', *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ') and said in error and error.count('\n') == 1
    assert not Path('mmdark_out').exists(), 'it is known before anything is looked at'


@pytest.mark.parametrize(
    'arguments',
    [[], ['a', '--score-thr', '2'], ['a', '--batch-size', '0'], ['a', '--tile', 'x'], ['a', '--day', '--dark']],
    ids=str,
)
def test_wrong_options_give_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(['detect', *arguments])
    assert ended.value.code == 2


def test_options_reach_the_detector(told: ToldInferencer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def stream(inputs: object, **options: object) -> object:
        seen.update(options)
        return ToldInferencer.stream(told, inputs)

    monkeypatch.setattr(told, 'stream', stream, raising=False)
    main(['detect', 'photos', '--quiet', '--tta', '--tile', 'none', '--batch-size', '3', '--score-thr', '0.5'])
    assert seen == dict(tta=True, tile=None, batch_size=3, pred_score_thr=0.5)


@pytest.mark.parametrize(
    ('said', 'wanted'),
    [
        ('there are no weights: name trained ones (weights=FILE.pth)', '(--weights FILE.pth)'),
        ('no config: name it (--model CONFIG.py, model=CONFIG.py, or a name)', '(--model CONFIG.py, or a name)'),
    ],
)
def test_missing_weights_are_named_as_options_are(
    said: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without(args: object) -> None:
        raise InputError(said)

    monkeypatch.setattr(detect, '_inferencer', without)
    assert main(['detect', str(write_photos(tmp_path / 'photos', 1)), '--out-dir', str(tmp_path / 'out')]) == 1
    assert capsys.readouterr().err == f'error: {said.partition("(")[0]}{wanted}\n'


@pytest.fixture(scope='module')
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options that name the smallest detector, with weights that nobody trained."""
    folder = tmp_path_factory.mktemp('tiny')
    cfg = lite_config(folder, folder)
    cfg.dump(folder / 'tiny.py')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.save({'state_dict': model.state_dict()}, folder / 'tiny.pth')
    return ['--model', str(folder / 'tiny.py'), '--weights', str(folder / 'tiny.pth'), '--score-thr', '0.05']


def start(*arguments: str) -> subprocess.Popen:
    """As a terminal does: a shell without job control would have it ignore Ctrl-C."""
    code = (
        'import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); '
        'from mmdark.cli import main; sys.exit(main())'
    )
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    return subprocess.Popen(
        [sys.executable, '-c', code, 'detect', *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def wait_for(there: Callable[[], bool], process: subprocess.Popen) -> None:
    end = time.monotonic() + 120
    while not there() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def test_ctrl_c_in_a_process(tmp_path: Path, tiny: list[str]) -> None:
    """With a true detector: what is done by then is there, listed and whole."""
    photos, out = write_photos(tmp_path / 'photos', 1), tmp_path / 'out'
    for number in range(1, 2000):
        os.link(photos / '000.png', photos / f'{number:04}.png')
    process = start(str(photos), '--out-dir', str(out), *tiny)
    wait_for(lambda: (out / 'pictures').is_dir() and len(list((out / 'pictures').glob('*.jpg'))) > 2, process)
    process.send_signal(signal.SIGINT)
    said, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    content = json.loads((out / 'results.json').read_text())
    done = len(content['images'])
    assert content['complete'] is False and 2 <= done < 2000  # the third picture may be that of a line to come
    assert f'ended by Ctrl-C after {done} of 2000 images; these are kept' in error
    assert f'{done} images' in said
    pictures = sorted((out / 'pictures').iterdir())
    assert len(pictures) in (done, done + 1)
    assert all(isinstance(cv2.imread(str(path)), np.ndarray) for path in pictures)
