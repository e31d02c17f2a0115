"""A file that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = '.part'
"""How unfinished files end."""


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
