"""Limits for untrusted files, checked before memory is allocated: sizes, nesting, endless files, circular links."""

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
"""Bytes that any compressed file may unpack to."""
RATIO = 100
"""Beyond :data:`FREE`, a file may unpack to this many times its size. Text of numbers compresses to a third."""
MOST_FILES = 100_000
"""Files in a zip."""
DEPTH = 100
"""Levels of nested lists, dicts or elements."""
SEPARATORS = (os.sep, os.altsep or os.sep)
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class BeyondLimits(ValueError):
    """A file would take too much memory or time."""


_KINDS = {stat.S_ISFIFO: 'a pipe', stat.S_ISCHR: 'a device', stat.S_ISBLK: 'a device', stat.S_ISSOCK: 'a socket'}


def most_bytes(size: int, ratio: int = RATIO) -> int:
    """Bytes that a file of ``size`` bytes may unpack to."""
    return FREE + ratio * size


def check_inflation(entries: list[ZipInfo], size: int, ratio: int = RATIO) -> None:
    """Check the number of files in a zip of ``size`` bytes, their uncompressed size and their compression.

    Raises:
        BeyondLimits: a limit is exceeded.
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
    """The content of a file in a zip, of which no more than the stated size is unpacked.

    Raises:
        BadZipFile: the content is not what the zip states.
    """
    with archive.open(entry) as file:
        return file.read(entry.file_size)


def endless(path: str | os.PathLike) -> str | None:
    """The kind of a path that may have no end, such as ``'a pipe'``; None for files and for missing ones.

    Paths in ``/dev`` are accepted: a shell passes the output of a command as ``/dev/fd/63``.
    """
    if os.fspath(path).startswith('/dev/'):
        return None
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    return next((kind for is_kind, kind in _KINDS.items() if is_kind(mode)), None)


def refuse_endless(path: str | os.PathLike) -> None:
    """Raise an :class:`OSError` where reading might never end: for a pipe, a device or a socket."""
    if kind := endless(path):
        raise OSError(errno.EINVAL, f'it is {kind}')


def walk_once(folder: str | os.PathLike) -> Iterator[tuple[str, list[str], list[str]]]:
    """:func:`os.walk`, sorted, that follows links and visits each folder once.

    A folder below ``folder`` is visited by its own path, any other by the first link to it. As with ``os.walk``, the
    caller may remove names from the list of folders.
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
    """Whether a folder exists and was not seen before."""
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
    """``glob.glob(pattern, recursive=True)``, sorted, whose ``**`` visits each folder once."""
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
    """:func:`json.loads`, which raises a ValueError for text that nests too deep, too."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError('it nests too deep') from None
