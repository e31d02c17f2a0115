"""Functions to read label files: the text, rows of numbers, and one-line messages about errors."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TypeVar

import mmengine.fileio as fileio
from mmengine.logging import print_log

from mmdark.errors import InputError, one_line, shown
from mmdark.file_limits import refuse_endless
from mmdark.places import is_place

Label = TypeVar('Label')
Line = tuple[int, str]
"""Line number, counted from 1, and the text without surrounding spaces."""


def names_in(folder: str) -> set[str]:
    """The file names in a folder; an empty set if the folder does not exist."""
    try:
        return set(os.listdir(folder or '.'))
    except (OSError, ValueError):  # ValueError: NUL in the name
        return set()


def join_once(prefix: str, name: str) -> str:
    """Join two paths; folders at the end of ``prefix`` that ``name`` begins with are not repeated.

    Example:
        >>> join_once('data/WIDER_val/images', 'WIDER_val/images/0--Parade/a.jpg')
        'data/WIDER_val/images/0--Parade/a.jpg'
    """
    ends, parts = PurePosixPath(prefix).parts, PurePosixPath(name).parts
    for shared in range(min(len(ends), len(parts) - 1), 0, -1):
        if ends[-shared:] == parts[:shared]:
            return os.path.join(prefix, *parts[shared:])
    return os.path.join(prefix, name)


def read_bytes(path: str, what: str, remedy: str, backend_args: dict | None = None) -> bytes:
    """The content of a file.

    Args:
        path: path of the file.
        what: kind of the file for messages, such as ``'label'``.
        remedy: end of the message if the file cannot be read.
        backend_args: where files are stored, see :func:`mmengine.fileio.get`.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        refuse_endless(path)
        return fileio.get(path, backend_args=backend_args)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        reason = getattr(error, 'strerror', None) or error
        raise InputError(f'{what} {path} cannot be read ({reason}): {remedy}') from None


def read_text(path: str, what: str, remedy: str, backend_args: dict | None = None) -> str:
    """The text of a UTF-8 file; otherwise as :func:`read_bytes`."""
    try:
        return read_bytes(path, what, remedy, backend_args).decode('utf-8-sig')
    except UnicodeDecodeError:
        raise InputError(f'{what} {path} is not a text file: copy it again, or name another') from None


def lines_of(text: str) -> list[Line]:
    """The lines that are not blank."""
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def parse_row(words: Sequence[str], where: str, expected: str, counts: Iterable[int]) -> list[float]:
    """Convert the words of a row to numbers; NaN and infinities are allowed.

    Args:
        words: words of the row.
        where: file and line, for messages.
        expected: what the row should be, for messages.
        counts: allowed numbers of words.

    Raises:
        InputError: a word is not a number, or the number of words is not allowed.

    Example:
        >>> parse_row(['1', '2.5'], 'a.txt:1', 'a row should be "x y"', [2])
        [1.0, 2.5]
    """
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != len(words) or len(values) not in counts:
        raise InputError(f'{where}: {expected}, not {shown(" ".join(words))}')
    return values


def is_count(word: str) -> bool:
    """Whether a word is a whole number from 0 on; Python converts no more than 4,300 digits.

    Example:
        >>> is_count('12'), is_count('-1'), is_count('9' * 5000)
        (True, False, False)
    """
    return word.isascii() and word.isdecimal() and len(word) < 10


def has_size(box: Sequence[float]) -> bool:
    """Whether a box ``x1 y1 x2 y2`` can be trained on: finite, with a positive width and height."""
    left, top, right, bottom = box
    return left < right and top < bottom and all(map(is_place, box))


def read_all(paths: Iterable[str], read: Callable[[str], Label]) -> list[Label]:
    """``read`` applied to every path.

    Raises:
        InputError: labels are malformed; the message names the first one and their number.
    """
    paths = list(paths)
    labels, faults = [], []
    for path in paths:
        try:
            labels.append(read(path))
        except InputError as error:
            faults.append(str(error))
    if faults:
        more = f' (the first of {len(faults)} such labels among {len(paths)})' if len(faults) > 1 else ''
        raise InputError(f'{faults[0]}{more}')
    return labels


def present_places(
    source: str, count: int, no_image: Mapping[int, str], no_label: Mapping[int, str], remedy: str, allow_missing: bool
) -> list[int]:
    """The indices, from 0 to ``count - 1``, of the images that exist and have a label.

    Args:
        source: description of the selected images, for messages.
        count: number of selected images.
        no_image: index of each missing image → expected path.
        no_label: index of each existing image without a label → expected path of the label.
        remedy: end of the message if no image is left.
        allow_missing: skip missing images and labels with one warning instead of raising an error.

    Raises:
        InputError: some are missing and ``allow_missing`` is False, or no image is left.
    """
    if not no_image and not no_label:
        return list(range(count))
    counts = [f'{len(no_image)} are not there'] if no_image else []
    counts += [f'{len(no_label)} have no label'] if no_label else []
    first = next(iter((no_image or no_label).values()))
    message = f'{source}: of {count} images {" and ".join(counts)} (looked for {first})'
    left = count - len(no_image) - len(no_label)
    if not left:
        raise InputError(f'{message}: {remedy}')
    if not allow_missing:
        raise InputError(
            f'{message}: copy them there, or use the {left} others with allow_missing=True, '
            '--cfg-options allow_missing=True (results are then those of a part)'
        )
    warn(f'{message}; going on with {left}')
    return [place for place in range(count) if place not in no_image and place not in no_label]


def warn(text: str) -> None:
    """Log a warning, shortened to one line."""
    print_log(one_line(text, 250), logger='current', level=logging.WARNING)


def warn_left_out(places: Sequence[str], what: str) -> None:
    """Log one warning for all boxes that were left out.

    Args:
        places: file and line of each box.
        what: why they were left out.
    """
    if places:
        warn(f'{places[0]}: {len(places)} box(es) {what} left out, the first here')
