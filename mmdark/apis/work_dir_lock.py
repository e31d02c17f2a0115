"""Lock a folder or file for one process; the system releases the lock when the process dies."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from mmdark.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = '.training.lock'
"""The locked file in a work directory; it contains the name of its holder and is not deleted."""
RANKS = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}
"""Launcher → the environment variable with the rank of a process."""
RESTARTS = ('TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT')
"""Environment variables that are above 0 in a training that its launcher has restarted."""
PATIENCE = 120
"""Seconds to wait for the server of a network disk to release the lock of a lost node."""
Say = Callable[[str], object]


@contextmanager
def only_training(work_dir: str, launcher: str = 'none', say: Say = print) -> Iterator[None]:
    """Keep other trainings out of a folder; the first process takes the lock for all.

    The lock belongs to the process, not to its children, and is released however the process ends. A training that
    torchrun or Slurm has restarted waits for its lost predecessor to release the lock, then continues without it.

    Raises:
        InputError: another training holds the lock.
    """
    if os.environ.get(RANKS.get(launcher, ''), '0') != '0':
        yield
        return
    place = Path(work_dir)
    with _locking(_Lock(place / LOCK, 'training', place, '--work-dir', say)):
        yield


@contextmanager
def only_detection(place: Path, say: Say | None = None) -> Iterator[None]:
    """Keep other detections from writing the file ``place``; the lock ``.NAME.lock`` beside it is removed at the end.

    Raises:
        InputError: another process is writing it.
    """
    path = place.with_name(f'.{place.name}.lock')
    lock = _Lock(path, 'detection', place, '--out-dir', say or partial(print, file=sys.stderr))
    with _locking(lock, keep=False):
        yield


class _Lock(NamedTuple):
    """The file to lock, the kind of work, where the work writes to, and the option that selects another place."""

    path: Path
    work: str
    place: Path
    option: str
    say: Say


@contextmanager
def _locking(lock: _Lock, keep: bool = True) -> Iterator[None]:
    file = _locked(lock)
    try:
        yield
    finally:
        if file is not None:
            if not keep:
                with suppress(OSError):
                    lock.path.unlink()  # before the lock is released, so that a waiting process notices the removal
            file.close()


def _locked(lock: _Lock) -> IO[str] | None:
    """Lock and return the file; None if locking is not possible."""
    restarted = any(os.environ.get(name, '0') != '0' for name in RESTARTS)
    until = time.monotonic() + (PATIENCE if restarted else 0)
    beware = f'take care that no other {lock.work} writes there'
    if fcntl is None:
        lock.say(f'{lock.place} cannot be locked: {beware}')
        return None
    try:
        lock.path.parent.mkdir(parents=True, exist_ok=True)
        file = _open(lock.path)
        while not (_lock(file) and _is_there(file, lock.path)):
            if not _is_there(file, lock.path):  # its holder has removed it
                file.close()
                file = _open(lock.path)
            elif time.monotonic() < until:
                time.sleep(1)
            else:
                in_use = _in_use(lock, file)
                file.close()
                if not restarted:
                    raise InputError(in_use)
                lock.say(f'{in_use}; this {lock.work} was started again and goes on')
                return None
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):  # writing there will report these errors
            lock.say(f'{lock.place} cannot be locked ({error.strerror}): {beware}')
        return None
    with suppress(OSError):
        file.truncate(0)
        file.write(f'host {socket.gethostname()}, process {os.getpid()}, since {time.strftime("%Y-%m-%d %H:%M:%S")}')
        file.flush()
    return file


def _open(path: Path) -> IO[str]:
    return path.open('a+', encoding='utf-8', errors='replace')


def _lock(file: IO[str]) -> bool:
    """Lock a file for this process; False if another process holds the lock."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _is_there(file: IO[str], path: Path) -> bool:
    """Whether the path still refers to the open file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _in_use(lock: _Lock, file: IO[str]) -> str:
    file.seek(0)
    holder = file.read().strip() or 'it does not say who'
    return (
        f'another {lock.work} writes to {lock.place} ({holder}): wait for it, stop it, or name another folder '
        f'with {lock.option}'
    )
