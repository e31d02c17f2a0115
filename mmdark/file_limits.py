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
"""Uncompressed size, in bytes, that is allowed for any compressed file."""
RATIO = 100
"""In addition to :data:`FREE`, this many times the file size is allowed. Numbers as text compress to a third."""
MOST_FILES = 100_000
"""Maximum number of files in a zip."""
DEPTH = 100
"""Maximum nesting depth of lists, dicts or elements."""
SEPARATORS = (os.sep, os.altsep or os.sep)
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class BeyondLimits(ValueError):
    """Reading a file would take too much memory or time."""


_KINDS = {stat.S_ISFIFO: 'a pipe', stat.S_ISCHR: 'a device', stat.S_ISBLK: 'a device', stat.S_ISSOCK: 'a socket'}


def most_bytes(size: int, ratio: int = RATIO) -> int:
    """Maximum uncompressed size, in bytes, of a file of ``size`` bytes."""
    return FREE + ratio * size


def check_inflation(entries: list[ZipInfo], size: int, ratio: int = RATIO) -> None:
    """Check the number, total uncompressed size and compression method of the files in a zip of ``size`` bytes.

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
    """Read a file in a zip, decompressing no more than its declared size.

    Raises:
        BadZipFile: the content does not match the zip's metadata.
    """
    with archive.open(entry) as file:
        return file.read(entry.file_size)


def endless(path: str | os.PathLike) -> str | None:
    """Kind of a path whose content may be endless, such as ``'a pipe'``; None for files and missing paths.

    Paths in ``/dev`` are accepted (None), because shells pass the output of a command as ``/dev/fd/63``.
    """
    if os.fspath(path).startswith('/dev/'):
        return None
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    return next((kind for is_kind, kind in _KINDS.items() if is_kind(mode)), None)


def refuse_endless(path: str | os.PathLike) -> None:
    """Raise an :class:`OSError` for a pipe, a device or a socket, since reading it might never end."""
    if kind := endless(path):
        raise OSError(errno.EINVAL, f'it is {kind}')


def walk_once(folder: str | os.PathLike) -> Iterator[tuple[str, list[str], list[str]]]:
    """Like :func:`os.walk`, but sorted, following links and visiting each folder only once.

    Folders below ``folder`` are visited by their own path, others by the first link to them. As with ``os.walk``, the
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
    """Whether a folder exists and is not in ``seen``; it is then added."""
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
    """Like ``glob.glob(pattern, recursive=True)``, but sorted, and ``**`` visits each folder only once."""
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
    """Like :func:`json.loads`, but raise a ValueError, not a RecursionError, for text that is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError('it nests too deep') from None
