"""Write files that are complete or not there at all."""

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
"""Bytes that are read at a time."""


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, which is renamed to it at the end and removed after an error.

    The folder is made. Raises :class:`OSError` where the system refuses.
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
    """Turn an :class:`OSError` while ``path`` is written into an :class:`InputError` of one line.

    Args:
        path: of the file or folder.
        option: of the command line that named it, such as ``--out``.
    """
    try:
        yield
    except OSError as error:
        remedy = 'free some space or choose another place' if error.errno in FULL else 'choose another place'
        place = f'{option} {path}'.lstrip()
        raise InputError(f'{place} cannot be written ({error.strerror}): {remedy}') from None


@contextmanager
def writing_whole(path: str | os.PathLike, option: str = '') -> Iterator[Path]:
    """A path to write to, which becomes ``path`` at the end; after an error the old file stays.

    A link stays a link; a pipe or ``/dev/stdout`` is written to directly. Arguments and errors as of :func:`writing`.
    """
    with writing(path, option):
        if os.path.exists(path) and not os.path.isfile(path):
            yield Path(path)
        else:
            with replaced_whole(Path(os.path.realpath(path))) as part:
                yield part


def write_whole(path: Path, content: bytes, option: str = '') -> None:
    """Write ``content`` by :func:`writing_whole`."""
    with writing_whole(path, option) as part:
        part.write_bytes(content)


def write_text_whole(path: Path, texts: Iterable[str], option: str = '') -> None:
    """Write one text after another by :func:`writing_whole`; undecodable bytes of file names become backslashes."""
    with writing_whole(path, option) as part, part.open('wb') as file:
        for text in texts:
            file.write(text.encode(errors='backslashreplace'))


def write_verified(path: Path, content: bytes | memoryview) -> None:
    """Write a file, read it back from the disk, and only then replace ``path``, whose folder is made.

    ``path`` holds the old or the new content, even after a crash of the machine.

    Raises:
        OSError: the content cannot be written, or was read back changed; ``path`` is unchanged.
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
    """SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def clear_parts(folder: Path, names: Sequence[str] = ('*',)) -> list[Path]:
    """Remove what killed processes left of :func:`replaced_whole` in ``folder``, to which no other may write.

    Args:
        folder: where to look.
        names: patterns of the files that were written.

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
    """Sync the names in a folder to the disk, where the file system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
