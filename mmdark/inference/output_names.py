"""Choose the names of the result files of each photograph: its path relative to the input folder."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from mmdark.errors import InputError

LONGEST = 200
"""Maximum bytes of a name; file systems allow 255, including suffixes and the endings of temporary files."""


def output_names(sources: Iterable[str], inputs: Iterable[str]) -> Iterator[str]:
    """Yield a unique relative path without suffix for each source, also unique if case is ignored.

    Paths are relative to the input folder, or to the common folder of several inputs. If two sources differ only in
    their suffix, the second one keeps it. Names longer than :data:`LONGEST` bytes are truncated.

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
    """The path without its suffix; if taken, with its suffix, then with a number. The name is added to ``taken``."""
    whole, without = ((path.parent / _shortened(name)).as_posix() for name in (path.name, path.stem))
    numbered = (f'{whole}_{number}' for number in itertools.count(2))
    name = next(name for name in itertools.chain((without, whole), numbered) if name.casefold() not in taken)
    taken.add(name.casefold())
    return name


def _shortened(name: str) -> str:
    """Truncate a file name to at most :data:`LONGEST` bytes."""
    if len(os.fsencode(name)) <= LONGEST:
        return name
    return name[:LONGEST] if name.isascii() else name[: LONGEST // 4]


def _folder_of(given: str) -> str:
    """A folder itself, or the folder of a file or a pattern."""
    if os.path.isdir(given):
        return given
    folder = Path(given).parent
    while not folder.exists() and glob.has_magic(str(folder)):
        folder = folder.parent
    return str(folder)
