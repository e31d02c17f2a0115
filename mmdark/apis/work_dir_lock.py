"""One training a folder, by a lock that the system takes away when the process dies."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

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
    file = _locked(Path(work_dir), say)
    try:
        yield
    finally:
        if file is not None:
            file.close()


def _locked(folder: Path, say: Callable[[str], object]) -> IO[str] | None:
    """The locked file; None where there can be none."""
    restarted = any(os.environ.get(name, '0') != '0' for name in RESTARTS)
    until = time.monotonic() + (PATIENCE if restarted else 0)
    if fcntl is None:
        say(f'{folder} cannot be locked: take care that no other training writes there')
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open('a+', encoding='utf-8', errors='replace')
        while not _lock(file):
            if time.monotonic() >= until:
                if not restarted:
                    raise InputError(_in_use(folder, file))
                say(f'{_in_use(folder, file)}; this training was started again and goes on')
                return None
            time.sleep(1)
    except OSError as error:
        if error.errno not in READ_ONLY:  # the Runner says that
            say(f'{folder} cannot be locked ({error.strerror}): take care that no other training writes there')
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


def _in_use(folder: Path, file: IO[str]) -> str:
    file.seek(0)
    return (
        f'another training writes to {folder} ({file.read().strip() or "it does not say who"}): wait for it, stop it, '
        'or name another folder with --work-dir'
    )
