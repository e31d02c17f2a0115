"""Text files of a folder or a zip; a zip is never unpacked to disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError

from mmdark.errors import InputError
from mmdark.file_limits import BeyondLimits, check_inflation, read_entry, refuse_endless, walk_once

SUFFIX = '.txt'
LARGEST = 16 << 20
"""Bytes of a text file; 100,000 boxes with all digits have half as many."""

Reader = Callable[[], str]


@contextmanager
def open_texts(path: str | os.PathLike) -> Iterator[dict[str, Reader]]:
    """The ``.txt`` files of a folder or a zip, by their sorted relative paths, each with a function that reads it.

    Hidden files and ``__MACOSX`` folders are ignored.

    Raises:
        InputError: ``path`` is neither a folder nor a readable zip, or holds no ``.txt`` file.
    """
    path = Path(path)
    if path.is_dir():
        files = {Path(place, name) for place, _, names in walk_once(path) for name in names}
        yield _text_files(path, {file.relative_to(path).as_posix(): _file_reader(file) for file in files})
        return
    if not path.exists():
        raise InputError(f'{path} does not exist: give a folder or a zip of {SUFFIX} files')
    try:
        archive = ZipFile(path)
    except (BadZipFile, OSError) as error:
        raise InputError(
            f'{path} is neither a folder nor a zip of {SUFFIX} files ({error}): give one of these'
        ) from None
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        try:
            check_inflation(entries, path.stat().st_size)
        except BeyondLimits as error:
            raise InputError(f'{path} is refused: {error}; pack the {SUFFIX} files again') from None
        readers = {
            entry.filename.replace('\\', '/'): _reader(
                f'{path}: {entry.filename}', partial(getattr, entry, 'file_size'), partial(read_entry, archive, entry)
            )
            for entry in entries
        }
        yield _text_files(path, readers)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        InputError: it cannot be read, is too large or is not UTF-8 text.
    """
    return _file_reader(path)()


def _file_reader(path: Path) -> Reader:
    def size() -> int:
        refuse_endless(path)
        return path.stat().st_size

    return _reader(str(path), size, path.read_bytes)


def _reader(name: str, size: Callable[[], int], read: Callable[[], bytes]) -> Reader:
    def text() -> str:
        try:
            if size() > LARGEST:
                raise InputError(
                    f'{name} has {size()} bytes, more than the {LARGEST} of any list of boxes: write it anew'
                )
            content = read()
        except (OSError, BadZipFile, ZlibError, EOFError, RuntimeError) as error:  # RuntimeError: encrypted
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f'{name} cannot be read ({reason}): write or pack it again') from None
        try:
            if b'\0' in content:
                raise ValueError
            return content.decode('utf-8-sig')
        except ValueError:
            raise InputError(f'{name} is not UTF-8 text: write it again') from None

    return text


def _text_files(path: Path, readers: dict[str, Reader]) -> dict[str, Reader]:
    parts = {name: name.split('/') for name in sorted(readers) if name.lower().endswith(SUFFIX)}
    texts = {
        name: readers[name] for name, (*folders, last) in parts.items() if '__MACOSX' not in folders and last[0] != '.'
    }
    if not texts:
        raise InputError(f'{path} holds no {SUFFIX} file: one is needed for each image')
    return texts
