"""The names of the result files of each photograph: its path below the folder that was named."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from mmdark.errors import InputError

LONGEST = 200
"""Bytes of a name; file systems take 255, including suffixes and the endings of unfinished files."""


def output_names(sources: Iterable[str], inputs: Iterable[str]) -> Iterator[str]:
    """A relative path without suffix for each source; no two are the same, on disks that ignore case either.

    They are below the folder that was named, or the common folder of several inputs. Where two sources differ in their
    suffix only, the later one keeps it. Names beyond :data:`LONGEST` bytes are cut.

    Example:
        >>> list(output_names(['a/1.jpg', 'b/1.jpg', 'b/1.png'], ['a', 'b']))
        ['a/1', 'b/1', 'b/1.png']
    """
    try:
        base = os.path.commonpath([os.path.abspath(_folder_of(given)) for given in inputs] or [os.curdir])
    except ValueError:
        raise InputError('the inputs lie on different drives: run once for each') from None
    return _names_below(base, sources)


def _names_below(base: str, sources: Iterable[str]) -> Iterator[str]:
    taken: set[str] = set()
    for source in sources:
        yield free_name(PurePath(os.path.relpath(source, base)), taken)


def free_name(path: PurePath, taken: set[str]) -> str:
    """The path without its suffix; with it, or a number behind it, where that name is taken. It is taken then."""
    whole, without = ((path.parent / _shortened(name)).as_posix() for name in (path.name, path.stem))
    numbered = (f'{whole}_{number}' for number in itertools.count(2))
    name = next(name for name in itertools.chain((without, whole), numbered) if name.casefold() not in taken)
    taken.add(name.casefold())
    return name


def _shortened(name: str) -> str:
    """A name without folder, cut after :data:`LONGEST` bytes."""
    if len(os.fsencode(name)) <= LONGEST:
        return name
    return name[:LONGEST] if name.isascii() else name[: LONGEST // 4]


def _folder_of(given: str) -> str:
    """The folder that a folder, a file or a pattern stands for."""
    if os.path.isdir(given):
        return given
    folder = Path(given).parent
    while not folder.exists() and glob.has_magic(str(folder)):
        folder = folder.parent
    return str(folder)
