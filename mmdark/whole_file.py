"""A file that is there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mmdark.errors import InputError

PART = '.part'
"""How unfinished files end."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""A disk, or what a person may use of it."""
CHUNK = 1 << 20
"""Bytes that are compared at a time when a file is read back."""


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """A place beside ``path`` to write to: at the end it becomes ``path``, after an error it is taken away.

    Args:
        path: of the file; its folder is made.

    Raises:
        OSError: the folder cannot be made, or the file not be put in its place.
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
    """Say in one line what the system refuses while something is written.

    Args:
        path: of the file or folder that is written.
        option: of the command line that named it, such as ``--out``.

    Raises:
        InputError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        remedy = 'free some space or choose another place' if error.errno in FULL else 'choose another place'
        place = f'{option} {path}'.lstrip()
        raise InputError(f'{place} cannot be written ({error.strerror}): {remedy}') from None


@contextmanager
def writing_whole(path: str | os.PathLike, option: str = '') -> Iterator[Path]:
    """A place to write to: at the end it becomes ``path``, after an error what was there stays.

    A link stays a link, and what is no file, such as ``/dev/stdout`` or a pipe, is written to as it is. Arguments and
    errors as of :func:`writing`; the folder is made.
    """
    with writing(path, option):
        if os.path.exists(path) and not os.path.isfile(path):
            yield Path(path)
        else:
            with replaced_whole(Path(os.path.realpath(path))) as part:
                yield part


def write_whole(path: Path, content: bytes, option: str = '') -> None:
    """Write a file, whole or not at all, as :func:`writing_whole` has it."""
    with writing_whole(path, option) as part:
        part.write_bytes(content)


def write_text_whole(path: Path, texts: Iterable[str], option: str = '') -> None:
    """Write one text after another to a file, whole or not at all, as :func:`writing_whole` has it.

    What is no text, such as the bytes of a file's name, is written with a backslash.
    """
    with writing_whole(path, option) as part, part.open('wb') as file:
        for text in texts:
            file.write(text.encode(errors='backslashreplace'))


def write_verified(path: Path, content: bytes | memoryview) -> None:
    """Write a file, read it back from the disk, and only then put it in the place of what is there.

    After a crash of the machine, too, ``path`` holds the old content or the new one. It costs one write to the disk
    and, where the system can be told to forget the file it has just written, one read from it.

    Args:
        path: of the file; its folder is made.
        content: its bytes.

    Raises:
        OSError: the content cannot be written, or comes back changed; ``path`` is as it was.
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
    """The SHA-256 of a file's content, read in pieces.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def clear_parts(folder: Path, names: Sequence[str] = ('*',)) -> list[Path]:
    """Take away what :func:`replaced_whole` left in ``folder`` when it was killed; nothing else may write there.

    Args:
        folder: where to look.
        names: of the files that were written, as in a shell; others are left alone.

    Returns:
        The files that were there.
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
    """Have the names of a folder on the disk; file systems that cannot do this for folders refuse it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
