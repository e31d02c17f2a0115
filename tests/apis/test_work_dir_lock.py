"""One training a folder: the second stops with a line, and no lock outlives its process."""

import errno
import multiprocessing
import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mmdark.apis import only_training, work_dir_lock
from mmdark.errors import InputError


def hold(folder: Path, ready: Connection) -> None:
    """Hold the lock, as a training does, with a worker that lives longer than it, until somebody asks to end."""
    with only_training(str(folder)):
        worker = multiprocessing.get_context('fork').Process(target=signal.pause)
        worker.start()
        ready.send(worker.pid)
        ready.recv()
        os.kill(worker.pid, signal.SIGKILL)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[multiprocessing.Process, Connection, int]]:
    """Another training in the folder: its process, a way to end it, and its worker."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context('fork').Process(target=hold, args=(tmp_path / 'run', theirs))
    process.start()
    worker = ours.recv()
    yield process, ours, worker
    process.kill()
    process.join()
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)


def test_the_second_says_who_is_there_and_stops(tmp_path: Path, holder: tuple) -> None:
    (tmp_path / 'link').symlink_to(tmp_path / 'run')
    for folder in ('run', 'link', 'run/../run'):
        with pytest.raises(InputError) as caught, only_training(str(tmp_path / folder)):
            pass
        line = str(caught.value)
        assert re.search(rf'\(host \S+, process {holder[0].pid}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\)', line), line
        assert '\n' not in line and f'writes to {tmp_path / folder} ' in line and '--work-dir' in line
    with only_training(str(tmp_path / 'other')):
        pass


@pytest.mark.parametrize('end', ['killed', 'ended'])
def test_nothing_is_left_of_a_lock_when_its_process_has_gone(tmp_path: Path, holder: tuple, end: str) -> None:
    """Also where a worker of it still lives, as after ``kill -9``."""
    process, pipe, worker = holder
    if end == 'killed':
        process.kill()
    else:
        pipe.send('end')
    process.join()  # with a limit it would wait for the worker, too
    if end == 'killed':
        os.kill(worker, 0)
    with only_training(str(tmp_path / 'run')):
        assert f'process {os.getpid()}, ' in (tmp_path / 'run' / work_dir_lock.LOCK).read_text()
    with only_training(str(tmp_path / 'run')):  # one after the other in one process
        pass


def test_only_the_first_process_locks(tmp_path: Path, holder: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    for launcher, variable in work_dir_lock.RANKS.items():
        monkeypatch.setenv(variable, '1')
        with only_training(str(tmp_path / 'run'), launcher):
            pass
        monkeypatch.setenv(variable, '0')
        with pytest.raises(InputError), only_training(str(tmp_path / 'run'), launcher):
            pass


def test_a_training_that_was_started_again_waits_and_goes_on(
    tmp_path: Path, holder: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node of its predecessor is lost, and the server of the disk does not know that yet."""
    said: list[str] = []
    waits: list[float] = []
    monkeypatch.setattr(work_dir_lock.time, 'sleep', waits.append)
    monkeypatch.setattr(work_dir_lock, 'PATIENCE', 0.2)
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '1')
    with only_training(str(tmp_path / 'run'), 'pytorch', said.append):
        pass
    assert waits and set(waits) == {1} and len(said) == 1 and 'was started again and goes on' in said[0]


def test_a_disk_without_locks_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, 'No locks available')

    said: list[str] = []
    monkeypatch.setattr(work_dir_lock.fcntl, 'lockf', without)
    with only_training(str(tmp_path / 'run'), say=said.append):
        pass
    monkeypatch.setattr(work_dir_lock, 'fcntl', None)
    with only_training(str(tmp_path / 'run'), say=said.append):
        pass
    assert [line.split(':')[0] for line in said] == [
        f'{tmp_path}/run cannot be locked (No locks available)',
        f'{tmp_path}/run cannot be locked',
    ]


def test_the_lock_of_a_detection_is_taken_away_and_whoever_waited_for_it_gets_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has opened the file before it was taken away must not take it for the lock."""
    place, lock = tmp_path / 'results.jsonl', tmp_path / '.results.jsonl.lock'
    lock.touch()
    lock_file, stale = work_dir_lock._lock, []

    def once_late(file: object) -> bool:
        if not stale:
            stale.append(file)
            lock.unlink()
        return lock_file(file)

    monkeypatch.setattr(work_dir_lock, '_lock', once_late)
    with work_dir_lock.only_detection(place):
        assert f'process {os.getpid()}, ' in lock.read_text() and stale[0].closed
    assert list(tmp_path.iterdir()) == []
