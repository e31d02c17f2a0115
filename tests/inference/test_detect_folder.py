"""Broken files, Ctrl-C and a full disk: what was done is there, whole, and nothing else is."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.inference import image_sources
from mmdark.inference.detect_folder import Detected, detect_folder
from mmdark.inference.output_names import output_names
from mmdark.inference.result_files import ResultFiles, read_results

from .face_results import ToldInferencer

ALL = ('json', 'csv', 'yolo', 'wider', 'coco', 'pictures')


def write_photos(folder: Path, count: int = 6) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0)
    for number in range(count):
        cv2.imwrite(str(folder / f'{number}.png'), noise.integers(0, 255, (40, 50, 3), np.uint8))
    return folder


def detect(photos: Path, out: Path, told: ToldInferencer | None = None, formats: tuple[str, ...] = ALL) -> Detected:
    sources = image_sources(photos)
    names = output_names([source.name for source in sources], [str(photos)])
    files = ResultFiles(out, formats, draw=lambda image, result: image)
    return detect_folder(told or ToldInferencer(), sources, names, files)


class Disk:
    """A disk with room for so many bytes: the write that does not fit puts what fits and fails, as ext4 does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room, self.open = room, Path.open
        monkeypatch.setattr(Path, 'open', lambda path, mode='r', *rest, **more: self.opened(path, mode, *rest, **more))

    def opened(self, path: Path, mode: str, *rest: Any, **more: Any) -> Any:
        file = self.open(path, mode, *rest, **more)
        return Written(file, self) if 'w' in mode else file


class Written:
    def __init__(self, file: Any, disk: Disk) -> None:
        self.file, self.disk = file, disk

    def write(self, content: bytes | str) -> int:
        if len(content) > self.disk.room:
            self.file.write(content[: self.disk.room])  # the file is taken away, its room is free again
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.disk.room -= len(content)
        return self.file.write(content)

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()


def check_whole(out: Path, done: int) -> None:
    """Every file is there for the first images, none for the others, and none is half written."""
    names = {str(number) for number in range(done)}
    for kind, suffix in (('pictures', '.jpg'), ('labels', '.txt'), ('wider', '.txt')):
        assert {path.stem for path in (out / kind).glob(f'*{suffix}')} == names, kind
    assert all(cv2.imread(str(path)).shape == (40, 50, 3) for path in (out / 'pictures').iterdir())
    assert all(len(path.read_text().splitlines()) == 3 for path in (out / 'wider').iterdir())
    assert not list(out.rglob('.*'))


def test_broken_files_are_listed_and_the_others_are_done(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / 'photos', 20)
    for number, content in ((3, b''), (7, b'no image'), (11, (photos / '11.png').read_bytes()[:60])):
        (photos / f'{number}.png').write_bytes(content)
    detected = detect(photos, tmp_path / 'out')
    assert (detected.total, detected.images, detected.objects, detected.with_objects) == (20, 17, {0: 17}, 17)
    results, broken, about = read_results(tmp_path / 'out')
    broken_files = {str(photos / f'{number}.png') for number in (3, 7, 11)}
    assert {one.source for one in broken} == broken_files
    assert all(one.reason and '\n' not in one.reason for one in broken)
    assert {one.source for one in results} == {str(path) for path in photos.iterdir()} - broken_files
    assert about['complete'] is True


def test_equal_names_in_different_folders_stay_apart(tmp_path: Path) -> None:
    for folder in ('a', 'b/c'):
        write_photos(tmp_path / 'photos' / folder, 1)
    detect(tmp_path / 'photos', tmp_path / 'out')
    assert {path.relative_to(tmp_path / 'out').as_posix() for path in (tmp_path / 'out' / 'labels').rglob('*.txt')} == {
        'labels/a/0.txt',
        'labels/b/c/0.txt',
    }


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    def press(number: int) -> None:
        if number == 4:
            signal.raise_signal(signal.SIGINT)

    detected = detect(write_photos(tmp_path / 'photos'), tmp_path / 'out', ToldInferencer(press))
    assert detected.ended_by == 'Ctrl-C' and (detected.done, detected.total) == (4, 6)
    results, broken, about = read_results(tmp_path / 'out')
    assert len(results) == 4 and broken == [] and about['complete'] is False
    check_whole(tmp_path / 'out', 4)


def test_ctrl_c_twice_keeps_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(number: int) -> None:
        if number == 2:
            signal.raise_signal(signal.SIGINT)

    def close_and_press(files: ResultFiles, complete: bool) -> list[Path]:
        signal.raise_signal(signal.SIGINT)
        return close(files, complete)

    close = ResultFiles.close
    monkeypatch.setattr(ResultFiles, 'close', close_and_press)
    assert detect(write_photos(tmp_path / 'photos'), tmp_path / 'out', ToldInferencer(press)).ended_by
    assert len(read_results(tmp_path / 'out')[0]) == 2
    with pytest.raises(KeyboardInterrupt):  # afterwards it works as before
        signal.raise_signal(signal.SIGINT)


def sizes_of(out: Path) -> Iterator[int]:
    """What the first three photographs need, but for the lists."""
    yield from (path.stat().st_size for path in out.rglob('[012].*') if path.is_file())
    yield sum(map(len, (out / 'results.jsonl').read_bytes().splitlines(keepends=True)[:4]))


@pytest.mark.parametrize(('short', 'lists'), [(1, False), (1500, True)], ids=['its line', 'a picture'])
def test_a_full_disk_is_one_line_and_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: int, lists: bool
) -> None:
    """Room for the files of three photographs but for a few bytes; where a picture did not fit, lists do."""
    photos = write_photos(tmp_path / 'photos')
    detect(photos, tmp_path / 'enough')
    with monkeypatch.context() as patch:
        Disk(patch, sum(sizes_of(tmp_path / 'enough')) - short)
        with pytest.raises(InputError) as raised:
            detect(photos, tmp_path / 'out')
    line = str(raised.value)
    assert ' be written (No space left on device): ' in line and '\n' not in line
    kept = f'their results are in {tmp_path / "out"}' if lists else 'their lists could not be written either'
    assert line.endswith(f'; 2 of 6 photographs are done, {kept}')
    assert not list((tmp_path / 'out').rglob('.*'))
    assert all(cv2.imread(str(path)).shape == (40, 50, 3) for path in (tmp_path / 'out').rglob('*.jpg'))
    assert len(list((tmp_path / 'out' / 'wider').iterdir())) == (2 if lists else 3)
    assert (tmp_path / 'out' / 'results.json').exists() == lists
    if lists:
        results, _, about = read_results(tmp_path / 'out')
        assert len(results) == 2 and about['complete'] is False
        check_whole(tmp_path / 'out', 2)


def test_an_error_of_the_program_leaves_the_results_so_far(tmp_path: Path) -> None:
    def fail(number: int) -> None:
        if number == 3:
            raise RuntimeError('a defect')

    with pytest.raises(RuntimeError, match='a defect'):
        detect(write_photos(tmp_path / 'photos'), tmp_path / 'out', ToldInferencer(fail))
    results, _, about = read_results(tmp_path / 'out')
    assert len(results) == 3 and about['complete'] is False
    check_whole(tmp_path / 'out', 3)
