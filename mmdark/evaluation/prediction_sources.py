"""A folder or a zip of text files, opened alike; knows nothing of what the texts mean."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError

from mmdark.errors import InputError
from mmdark.file_limits import BeyondLimits, check_inflation, endless, read_entry, walk_once

SUFFIX = '.txt'
_CONTROL = re.compile(rb'[\x00-\x08\x0e-\x1a\x1c-\x1f]')
_UNREADABLE = (OSError, BadZipFile, ZlibError, EOFError, RuntimeError)  # RuntimeError: a password or a strange packing
LARGEST = 16 << 20
"""Bytes of a text: 100,000 boxes of an image with all their digits have a half."""
_READ_ANYWAY = 'it is read all the same'


class TextFile(NamedTuple):
    """One file of a source: its path below the source with ``/`` between the parts, and how its bytes are read."""

    name: str
    read: Callable[[], bytes]


def file_reader(path: Path) -> Callable[[], bytes]:
    """How the bytes of a file are read, which must be a file, and no larger than :data:`LARGEST`."""

    def read() -> bytes:
        if kind := endless(path):
            raise OSError(f'it is {kind}')
        _check_length(path.stat().st_size)
        return path.read_bytes()

    return read


def _entry_reader(archive: ZipFile, entry: ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        _check_length(entry.file_size)
        return read_entry(archive, entry)

    return read


def _check_length(length: int) -> None:
    if length > LARGEST:
        raise OSError(f'it has {length} bytes, more than the {LARGEST} of any list of boxes')


class Source(NamedTuple):
    """The files of a folder or a zip whose names end in ``.txt``, in order of name, and the names of the others."""

    texts: list[TextFile]
    others: list[str]


@contextmanager
def open_source(path: str | os.PathLike) -> Iterator[Source]:
    """Open a folder or a zip, whatever folders it holds; the rubbish of file managers is passed over.

    Args:
        path: a folder or a zip file; a zip is never unpacked to disk.

    Raises:
        InputError: there is no such path, it is something else, it is broken, or it holds no ``.txt`` file.
    """
    path = Path(path)
    if path.is_dir():
        yield _source(path, [TextFile(name, file_reader(path / name)) for name in _names_below(path)])
        return
    if not path.exists():
        raise InputError(f'{path} does not exist: give a folder or a zip of {SUFFIX} files')
    if path.suffix.lower() in ('.json', SUFFIX):
        raise InputError(
            f'{path} is a single {path.suffix} file: give a folder or a zip with one {SUFFIX} file an image'
        )
    try:
        archive = ZipFile(path)
    except (BadZipFile, OSError) as error:
        raise InputError(f'{path} is no folder, and not a whole zip ({error}): pack or copy it again') from None
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        try:
            check_inflation(entries, path.stat().st_size)
        except BeyondLimits as error:
            raise InputError(f'{path} is refused: {error}; pack the {SUFFIX} files again') from None
        yield _source(
            path, [TextFile(entry.filename.replace('\\', '/'), _entry_reader(archive, entry)) for entry in entries]
        )


def _names_below(folder: Path) -> list[str]:
    """The paths of all files, relative to the folder."""
    found = []
    for place, _, names in walk_once(folder):
        found += [Path(place, name).relative_to(folder).as_posix() for name in names]
    return found


def _source(path: Path, files: list[TextFile]) -> Source:
    """Part the files by name."""
    files = sorted((file for file in files if not _is_rubbish(file.name)), key=lambda file: file.name)
    texts = [file for file in files if file.name.lower().endswith(SUFFIX)]
    others = [file.name for file in files if not file.name.lower().endswith(SUFFIX)]
    if not texts:
        inner = next((name for name in others if name.lower().endswith('.zip')), None)
        hint = f'it holds another zip, {inner}: give that one' if inner else f'it holds {len(others)} other files'
        raise InputError(f'{path} holds no {SUFFIX} file: one is needed for each image; {hint}')
    return Source(texts, others)


def _is_rubbish(name: str) -> bool:
    """Whether a file manager left the file: ``__MACOSX/`` and everything hidden."""
    parts = name.split('/')
    return '__MACOSX' in parts or parts[-1].startswith('.')


def read_text(file: TextFile) -> tuple[str, str | None, bool]:
    """The text of a file, what is wrong with it as one phrase or None, and whether it can be used.

    UTF-8 with or without its mark is right; UTF-16 (PowerShell writes it) and Latin-1 are read, and named.

    Example:
        >>> read_text(TextFile('a.txt', lambda: b'JFIF' + bytes(3)))
        ('', 'is binary, not text', False)
    """
    try:
        data = file.read()
    except _UNREADABLE as error:
        return '', f'cannot be read ({_first_line(error)})', False
    if data[:2] in (b'\xff\xfe', b'\xfe\xff'):
        return data.decode('utf-16', errors='replace'), f'is UTF-16, not UTF-8; {_READ_ANYWAY}', True
    if _CONTROL.search(data):
        return '', 'is binary, not text', False
    try:
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError:
        return data.decode('latin-1'), f'is not UTF-8; {_READ_ANYWAY}, as Latin-1', True
    if text.lstrip()[:1] in ('{', '['):
        return '', 'is JSON, not rows of numbers', False
    return text, None, True


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
