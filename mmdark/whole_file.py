"""Write files atomically: a file is replaced by a complete new one or stays unchanged."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mmdark.errors import InputError

PART = '.part'
"""Suffix of unfinished files."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk or quota."""
CHUNK = 1 << 20
"""Number of bytes read at a time."""


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; it is renamed to ``path``, or removed after an error.

    The folder is created if missing. Raises :class:`OSError` if the file cannot be written.
    """
    part = path.with_name(f'.{path.name}.{os.getpid()}{PART}')
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def writing(path: str | os.PathLike, option: str = '') -> Iterator[None]:
    """Convert an :class:`OSError` while writing ``path`` to an :class:`InputError` of one line.

    Args:
        path: path of the file or folder.
        option: command-line option that gave the path, such as ``--out``.
    """
    try:
        yield
    except OSError as error:
        remedy = 'free some space or choose another place' if error.errno in FULL else 'choose another place'
        place = f'{option} {path}'.lstrip()
        raise InputError(f'{place} cannot be written ({error.strerror}): {remedy}') from None


@contextmanager
def writing_whole(path: str | os.PathLike, option: str = '') -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` at the end; after an error, the old file is unchanged.

    If ``path`` is a link, its target is replaced; pipes and ``/dev/stdout`` are written to directly. Arguments and
    errors are those of :func:`writing`.
    """
    with writing(path, option):
        if os.path.exists(path) and not os.path.isfile(path):
            yield Path(path)
        else:
            with replaced_whole(Path(os.path.realpath(path))) as part:
                yield part


def write_whole(path: Path, content: bytes, option: str = '') -> None:
    """Write ``content`` with :func:`writing_whole`."""
    with writing_whole(path, option) as part:
        part.write_bytes(content)


def write_text_whole(path: Path, texts: Iterable[str], option: str = '') -> None:
    """Write texts with :func:`writing_whole`; undecodable bytes of file names become backslash escapes."""
    with writing_whole(path, option) as part, part.open('wb') as file:
        for text in texts:
            file.write(text.encode(errors='backslashreplace'))


def write_verified(path: Path, content: bytes | memoryview) -> None:
    """Write a temporary file, read it back from the disk to verify it, and only then replace ``path``.

    The folder is created if missing. ``path`` holds either the old or the new content, even after the machine crashes.

    Raises:
        OSError: the content cannot be written, or differs when read back; ``path`` is unchanged.
    """
    with replaced_whole(path) as part:
        with part.open('wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if hasattr(os, 'posix_fadvise'):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if not _holds(part, memoryview(content)):
            raise OSError(errno.EIO, 'what was written does not come back the same', str(path))
    _settle(path.parent)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def clear_parts(folder: Path, names: Sequence[str] = ('*',)) -> list[Path]:
    """Remove temporary files of :func:`replaced_whole` that killed processes left in ``folder``.

    No other process may be writing to the folder.

    Args:
        folder: folder to search, without its subfolders.
        names: glob patterns of the final file names.

    Returns:
        The files that were removed.
    """
    left = sorted({part for name in names for part in folder.glob(f'.{name}.*{PART}')})
    for part in left:
        with suppress(OSError):
            part.unlink()
    return left


def _holds(path: Path, content: memoryview) -> bool:
    start = 0
    with path.open('rb') as file:
        while chunk := file.read(CHUNK):
            if chunk != content[start : start + len(chunk)]:
                return False
            start += len(chunk)
    return start == len(content)


def _settle(folder: Path) -> None:
    """Sync a folder's entries to the disk, if the file system supports it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
