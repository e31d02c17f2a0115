"""The text of one image's boxes to numbers, forgivingly: what is wrong is said in one line, and the rest is read."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp')
Line = tuple[int, str]
_SKIPS = 'would leave this image out'


class BoxFormat(NamedTuple):
    """How a text file keeps the boxes of an image.

    Attributes:
        columns: names of the numbers of a row.
        has_name: whether a line with the image's name comes first.
        has_count: whether a line with the number of rows stands before the rows.
    """

    columns: tuple[str, ...]
    has_name: bool
    has_count: bool

    @property
    def has_corners(self) -> bool:
        """Whether a box is two corners, not a corner and a size."""
        return 'x2' in self.columns

    @property
    def has_score(self) -> bool:
        """Whether the rows are predictions."""
        return 'score' in self.columns


WIDER_PREDICTION = BoxFormat(('x', 'y', 'w', 'h', 'score'), has_name=True, has_count=True)
DARK_FACE_PREDICTION = BoxFormat(('x1', 'y1', 'x2', 'y2', 'score'), has_name=False, has_count=False)
DARK_FACE_LABEL = BoxFormat(('x1', 'y1', 'x2', 'y2'), has_name=False, has_count=True)


class Boxes(NamedTuple):
    """The boxes of an image.

    Attributes:
        rows: shape ``(N, 4)`` or ``(N, 5)``; with scores, in order of falling score, equal scores as in the file.
        faults: one line each: ``7: what is wrong; what was done``, without a number if it is of the whole file.
        was_sorted: whether the file had that order.
        left_out: number of rows that could not be used.
    """

    rows: np.ndarray
    faults: list[str]
    was_sorted: bool
    left_out: int


def parse_boxes(text: str, form: BoxFormat, image: str) -> Boxes:
    r"""Read the boxes of one image.

    Args:
        text: the whole file.
        form: its format.
        image: the image's name without folder and suffix, which the first line should say.

    Example:
        >>> boxes = parse_boxes('a\n1\n1 2 3 4 0.5\n1 2 3', WIDER_PREDICTION, 'a')
        >>> boxes.rows.tolist()
        [[1.0, 2.0, 3.0, 4.0, 0.5]]
        >>> boxes.left_out
        1
    """
    rows, faults, left_out = _flawless(text, form, image), [], 0
    if rows is None:
        rows, faults, left_out = _flawed(text, form, image)
    if not form.has_score:
        return Boxes(rows, faults, True, left_out)
    scores = rows[:, -1]
    was_sorted = bool((scores[1:] <= scores[:-1]).all())
    rows = rows if was_sorted else rows[np.argsort(-scores, kind='stable')]
    return Boxes(rows, faults, was_sorted, left_out)


def _flawless(text: str, form: BoxFormat, image: str) -> np.ndarray | None:
    """The rows of a file in which nothing is wrong, or None; quick."""
    lines = [words for words in map(str.split, text.splitlines()) if words]
    head = form.has_name + form.has_count
    top, body = [words[0] for words in lines[:head] if len(words) == 1], lines[head:]
    if len(top) != head or {*map(len, body)} - {len(form.columns)} or '_' in ''.join(chain.from_iterable(body)):
        return None
    if form.has_name and not names_image(top[0], image):
        return None
    if form.has_count and not (top[-1].isdecimal() and float(top[-1]) == len(body)):
        return None
    try:
        rows = np.array([*map(float, chain.from_iterable(body))]).reshape(-1, len(form.columns))
    except ValueError:
        return None
    return rows if np.isfinite(rows).all() and not _turned(rows, form).any() else None


def names_image(name: str, image: str) -> bool:
    """Whether a name, with or without folders and an image's suffix, is that of the image.

    Example:
        >>> names_image('0--Parade/0_Parade_1.jpg', '0_Parade_1')
        True
    """
    name = name.replace('\\', '/').rsplit('/', 1)[-1]
    return name == image or without_image_suffix(name) == image


def without_image_suffix(name: str) -> str:
    """``a.jpg`` → ``a``; other dots are left.

    Example:
        >>> without_image_suffix('a.b.JPG'), without_image_suffix('a.b')
        ('a.b', 'a.b')
    """
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if name.lower().endswith(suffix)), '')
    return name[: len(name) - len(suffix)]


def _turned(rows: np.ndarray, form: BoxFormat) -> np.ndarray:
    """Which boxes end before they start."""
    return ((rows[:, 2:4] < rows[:, :2]) if form.has_corners else (rows[:, 2:4] < 0)).any(axis=1)


class _Faults:
    """Faults of one file: of each kind the first, and how many there are."""

    def __init__(self) -> None:
        self.first: dict[str, tuple[int, str]] = {}
        self.number: dict[str, int] = {}

    def add(self, line: int, kind: str, done: str, found: str = '') -> None:
        """Note a fault: ``{line}: {found}{kind}; {done}``, line 0 being the whole file."""
        self.number[kind] = self.number.get(kind, 0) + 1
        self.first.setdefault(kind, (line, f'{found}{kind}; {done}'))

    def lines(self) -> list[str]:
        """One line a kind, in order of line number."""
        found = []
        for kind, (line, message) in sorted(self.first.items(), key=lambda item: item[1][0]):
            more = f' (and {self.number[kind] - 1} more like it)' if self.number[kind] > 1 else ''
            found.append((f'{line}: {message}' if line else f' {message}') + more)
        return found


def _flawed(text: str, form: BoxFormat, image: str) -> tuple[np.ndarray, list[str], int]:
    """Rows, faults and the number of rows left out, line by line."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    faults = _Faults()
    if not lines and (form.has_name or form.has_count):
        what = 'detections' if form.has_score else 'faces'
        faults.add(0, 'is empty', f'its image counts as one without {what}')
    count, body = _below_head(lines, form, image, faults)
    rows, numbers = [], []
    for number, line in body:
        if (row := _row(number, line, form, faults)) is not None:
            rows.append(row)
            numbers.append(number)
    if count is not None and count != len(body):
        _note_count(count, body, lines, form, faults)
    found = np.array(rows, dtype=np.float64).reshape(-1, len(form.columns))
    for index in np.flatnonzero(_turned(found, form)):
        hint = f'x2 < x1 or y2 < y1 (is it x y w h? {" ".join(form.columns)} is needed)'
        as_what = 'counts as a false detection' if form.has_score else 'counts as a face that nothing can find'
        kind = hint if form.has_corners else 'negative width or height'
        faults.add(numbers[index], kind, f'the row is kept and {as_what}, as in the official tool')
    return found, faults.lines(), len(body) - len(rows)


def _below_head(lines: list[Line], form: BoxFormat, image: str, faults: _Faults) -> tuple[int | None, list[Line]]:
    """The stated number of rows, if there is one, and the lines that should be rows."""
    body = lines
    if form.has_name:
        body = _below_name(body, image, faults)
    if not form.has_count:
        while body and len(body[0][1].split()) == 1 and ',' not in body[0][1]:
            faults.add(body[0][0], 'a name or a count, which this format does not have', 'it is left out')
            body = body[1:]
        return None, body
    if not lines:
        return None, body
    if not body or _is_row(body[0][1]):
        number = body[0][0] if body else lines[-1][0]
        if body:
            faults.add(number, 'the number of rows should stand here', f'all rows are read; the official tool {_SKIPS}')
        else:
            faults.add(number, 'the file ends where the number of rows should follow', 'its image has no rows')
        return None, body
    number, word = body[0]
    value = _number(word)
    if value is None or value < 0 or value % 1:
        faults.add(number, f'the number of rows should stand here, not {word[:40]!r}', 'all rows are read')
        return None, body[1:]
    return int(value), body[1:]


def _below_name(lines: list[Line], image: str, faults: _Faults) -> list[Line]:
    """The lines below the image's name, which may be missing."""
    if not lines:
        return lines
    number, name = lines[0]
    if names_image(name, image):
        return lines[1:]
    is_count = _number(name) is not None and (len(lines) == 1 or _is_row(lines[1][1]))
    if is_count or _is_row(name):
        faults.add(number, "the image's name should stand here", "the file's own name says which image it is")
        return lines
    faults.add(number, f'the name is {name[:60]!r}, not {image!r}', "the file's own name says which image it is")
    return lines[1:]


def _note_count(count: int, body: list[Line], lines: list[Line], form: BoxFormat, faults: _Faults) -> None:
    """Say that the stated number of rows is not the true one, and what the official tool makes of it."""
    official = f'would read the first {count} only' if count < len(body) else _SKIPS
    line = next((number for number, _ in reversed(lines[: len(lines) - len(body)])), 1)
    found = f'the number of rows says {count}, there are {len(body)}'
    faults.add(line, found, f'all rows are read; the official tool {official}')


def _row(number: int, line: str, form: BoxFormat, faults: _Faults) -> list[float] | None:
    """The numbers of a row, or None if it cannot be used."""
    wanted = f'{len(form.columns)} numbers ({" ".join(form.columns)})'
    words = line.replace(',', ' ').split()
    values = [_number(word) for word in words]
    if None in values or len(values) < len(form.columns):
        faults.add(number, f' is not {wanted}', 'the row is left out', repr(line[:60]))
        return None
    if ',' in line:
        faults.add(number, 'commas stand between the numbers', 'they are read as blanks')
    if len(values) > len(form.columns):
        done = 'the first are used, as by the official tool'
        faults.add(number, f'more than {wanted}', done)
    values = values[: len(form.columns)]
    if not np.isfinite(values).all():
        faults.add(number, ' holds a number that is not finite', 'the row is left out', repr(line[:60]))
        return None
    return values


def _is_row(line: str) -> bool:
    """Whether the line is made of numbers only, more than one."""
    words = line.replace(',', ' ').split()
    return len(words) > 1 and all(_number(word) is not None for word in words)


def _number(word: str) -> float | None:
    """The word as a number, NaN and infinities included."""
    try:
        return None if '_' in word else float(word)
    except ValueError:
        return None
