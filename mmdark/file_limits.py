"""What the files of strangers may cost: limits that are checked before memory is taken, and files that never end."""

from __future__ import annotations

import errno
import glob
import json
import os
import stat
import zipfile
from collections.abc import Iterator
from typing import Any
from zipfile import ZipFile, ZipInfo

FREE = 64 << 20
"""Bytes that the content of any packed file may take."""
RATIO = 100
"""Beyond :data:`FREE`, content may take so many times the bytes of its file. Text of numbers is packed to a third."""
MOST_FILES = 100_000
"""Files in a zip."""
DEPTH = 100
"""Levels of lists, dicts or elements that a file may nest."""
SEPARATORS = (os.sep, os.altsep or os.sep)
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class BeyondLimits(ValueError):
    """A file would take more memory or time than files of its kind do; the text says what of."""


_KINDS = {stat.S_ISFIFO: 'a pipe', stat.S_ISCHR: 'a device', stat.S_ISBLK: 'a device', stat.S_ISSOCK: 'a socket'}


def most_bytes(size: int, ratio: int = RATIO) -> int:
    """What the content of a file of ``size`` bytes may take."""
    return FREE + ratio * size


def check_inflation(entries: list[ZipInfo], size: int, ratio: int = RATIO) -> None:
    """See that the content of a zip fits its size, and is packed in a way that can be read bit by bit.

    Args:
        entries: all of the zip.
        size: of the zip, in bytes.
        ratio: see :data:`RATIO`.

    Raises:
        BeyondLimits: it does not.
    """
    if len(entries) > MOST_FILES:
        raise BeyondLimits(f'it holds {len(entries)} files, and {MOST_FILES} are the most')
    strange = next((entry for entry in entries if entry.compress_type not in PACKINGS), None)
    if strange is not None:
        raise BeyondLimits(f'{strange.filename[:100]} is packed by another method than deflate')
    inflated = sum(entry.file_size for entry in entries)
    if inflated > most_bytes(size, ratio):
        raise BeyondLimits(f'its {size} bytes would be {inflated} when unpacked')


def read_entry(archive: ZipFile, entry: ZipInfo) -> bytes:
    """The content of a file in a zip; never more than its stated size is unpacked.

    Raises:
        BadZipFile: it has other content than stated.
    """
    with archive.open(entry) as file:
        return file.read(entry.file_size)


def endless(path: str | os.PathLike) -> str | None:
    """What a path leads to where that may have no end, such as ``'a pipe'``; None for files and for what is missing.

    What lies in ``/dev`` was named by a person and is taken: a shell writes the output of a command as ``/dev/fd/63``.
    """
    if os.fspath(path).startswith('/dev/'):
        return None
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    return next((kind for is_kind, kind in _KINDS.items() if is_kind(mode)), None)


def refuse_endless(path: str | os.PathLike) -> None:
    """Raise an :class:`OSError` where reading a file might never end, so that whoever reads it says so as of any other.

    Raises:
        OSError: it is a pipe, a device or a socket.
    """
    if kind := endless(path):
        raise OSError(errno.EINVAL, f'it is {kind}')


def walk_once(folder: str | os.PathLike) -> Iterator[tuple[str, list[str], list[str]]]:
    """As :func:`os.walk`, sorted, linked folders too, but no folder twice, however links lead to it.

    A folder has its own path where it lies below ``folder``, and otherwise that of the first link to it. Names that the
    caller takes out of the list of folders are not gone into.
    """
    seen: set[tuple[int, int]] = set()
    roots = [os.fspath(folder)]
    while roots:
        linked: list[str] = []
        for root in roots:
            for place, folders, names in os.walk(root):
                if not _is_new(place, seen):
                    folders.clear()
                    continue
                folders.sort()
                yield place, folders, names
                linked += [path for name in folders if os.path.islink(path := os.path.join(place, name))]
        roots = linked


def _is_new(folder: str, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder is there and was not seen yet."""
    try:
        state = os.stat(folder)
    except OSError:
        return False
    key = state.st_dev, state.st_ino
    if key in seen:
        return False
    seen.add(key)
    return True


def glob_once(pattern: str) -> list[str]:
    """As ``glob.glob(pattern, recursive=True)``, sorted, but ``**`` goes into no folder twice."""
    head, star, tail = pattern.partition('**')
    ends = tail.startswith(SEPARATORS) or not tail
    if not star or (head and not head.endswith(SEPARATORS)) or not ends:
        return sorted(glob.glob(pattern))
    found = set()
    for root in glob.glob(head) if head else [os.curdir]:
        for place, folders, _ in walk_once(root):
            folders[:] = [name for name in folders if not name.startswith('.')]
            below = os.path.join(glob.escape(place), tail.lstrip(''.join(SEPARATORS)) or '*')
            found.update(glob_once(below if head else os.path.relpath(below)))
    return sorted(found)


def parse_json(text: str | bytes) -> Any:
    """As :func:`json.loads`, for which a deep document is no JSON.

    Raises:
        ValueError: the text is no JSON, or nests too deep.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError('it nests too deep') from None
