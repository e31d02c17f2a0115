"""One process a folder or file, by a lock that the system takes away when the process dies."""

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
    fcntl = None

LOCK = '.training.lock'
"""The file in the work directory that is locked; who holds it stands in it, and it stays."""
RANKS = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}
"""Launcher → the variable with the number of a process."""
RESTARTS = ('TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT')
"""Variables that are above 0 in a training that its launcher has started again."""
PATIENCE = 120
"""Seconds after which the server of a network disk should know that a lost node holds its lock no more."""
HELD = (errno.EAGAIN, errno.EACCES)
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def only_training(work_dir: str, launcher: str = 'none', say: Callable[[str], object] = print) -> Iterator[None]:
    """Keep other trainings out of a folder; the first process does that for all.

    The lock belongs to the process, not to its children, and ends with it however it ends. A training that torchrun or
    Slurm has started again waits for the lock of its lost predecessor, and then goes on without.

    Args:
        work_dir: the folder; it is made.
        launcher: of the command line.
        say: gets a line where the folder cannot be locked.

    Raises:
        InputError: another training holds the lock.
    """
    if os.environ.get(RANKS.get(launcher, ''), '0') != '0':
        yield
        return
    place = Path(work_dir)
    with _locking(place / LOCK, _Purpose('training', place, '--work-dir'), say):
        yield


@contextmanager
def only_detection(place: Path, say: Callable[[str], object] | None = None) -> Iterator[None]:
    """Keep other detections from writing the results that ``place`` stands for, as :func:`only_training` does.

    The lock is ``.NAME.lock`` beside it, and is taken away at the end.

    Args:
        place: a file of the results.
        say: gets a line where there can be no lock; by default it goes to stderr.

    Raises:
        InputError: another process writes them.
    """
    lock = place.with_name(f'.{place.name}.lock')
    with _locking(lock, _Purpose('detection', place, '--out-dir'), say or partial(print, file=sys.stderr), keep=False):
        yield


class _Purpose(NamedTuple):
    """What is done, where it writes to, and the option that names another place."""

    work: str
    place: Path
    option: str


@contextmanager
def _locking(lock: Path, purpose: _Purpose, say: Callable[[str], object], keep: bool = True) -> Iterator[None]:
    file = _locked(lock, purpose, say)
    try:
        yield
    finally:
        if file is not None:
            if not keep:
                with suppress(OSError):
                    lock.unlink()  # while it is held: whoever waits for the file sees that it has gone
            file.close()


def _locked(lock: Path, purpose: _Purpose, say: Callable[[str], object]) -> IO[str] | None:
    """The locked file; None where there can be none."""
    restarted = any(os.environ.get(name, '0') != '0' for name in RESTARTS)
    until = time.monotonic() + (PATIENCE if restarted else 0)
    beware = f'take care that no other {purpose.work} writes there'
    if fcntl is None:
        say(f'{purpose.place} cannot be locked: {beware}')
        return None
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open('a+', encoding='utf-8', errors='replace')
        while not (_lock(file) and _is_there(file, lock)):
            if not _is_there(file, lock):  # its holder has taken it away
                file.close()
                file = lock.open('a+', encoding='utf-8', errors='replace')
                continue
            if time.monotonic() >= until:
                in_use = _in_use(purpose, file)
                file.close()
                if not restarted:
                    raise InputError(in_use)
                say(f'{in_use}; this {purpose.work} was started again and goes on')
                return None
            time.sleep(1)
    except OSError as error:
        if error.errno not in READ_ONLY:  # whoever writes there says that
            say(f'{purpose.place} cannot be locked ({error.strerror}): {beware}')
        return None
    with suppress(OSError):
        file.truncate(0)
        file.write(f'host {socket.gethostname()}, process {os.getpid()}, since {time.strftime("%Y-%m-%d %H:%M:%S")}')
        file.flush()
    return file


def _lock(file: IO[str]) -> bool:
    """Lock a file, for this process alone; False where another process holds the lock."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        raise
    return True


def _is_there(file: IO[str], lock: Path) -> bool:
    """Whether the open file is still the one of this name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), lock.stat())
    return False


def _in_use(purpose: _Purpose, file: IO[str]) -> str:
    file.seek(0)
    holder = file.read().strip() or 'it does not say who'
    return (
        f'another {purpose.work} writes to {purpose.place} ({holder}): wait for it, stop it, or name another folder '
        f'with {purpose.option}'
    )
