"""Parse ExDark's text files, and map its classes to the names of COCO.

``imageclasslist.txt`` holds a row ``name class light place split`` in numbers for each of the 7,363 images. The label
of an image is a file of Piotr's toolbox: ``% bbGt version=3``, then a row for each object with its class, left, top,
width and height in pixels and seven columns that ExDark does not use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mmdark.datasets.label_files import Line, lines_of, parse_row
from mmdark.errors import InputError, shown

COCO_NAMES = {
    'Bicycle': 'bicycle',
    'Boat': 'boat',
    'Bottle': 'bottle',
    'Bus': 'bus',
    'Car': 'car',
    'Cat': 'cat',
    'Chair': 'chair',
    'Cup': 'cup',
    'Dog': 'dog',
    'Motorbike': 'motorcycle',
    'People': 'person',
    'Table': 'dining table',
}
"""ExDark's classes in the order of their numbers, each with COCO's name of it."""

CLASSES = tuple(COCO_NAMES)
LIGHTS = ('Low', 'Ambient', 'Object', 'Single', 'Weak', 'Strong', 'Screen', 'Window', 'Shadow', 'Twilight')
PLACES = ('Indoor', 'Outdoor')
SPLITS = ('train', 'val', 'test')
_COLUMNS = (CLASSES, LIGHTS, PLACES, SPLITS)
HEADER = '% bbGt version=3'
_LABEL_COLUMNS = 12
_CLASS_OF = {name.lower(): name for name in CLASSES}


class ExDarkImage(NamedTuple):
    """One row of the list: its file name, its numbers as words (``'Bicycle'``, ``'Low'``...), and the line number."""

    name: str
    class_name: str
    light: str
    place: str
    split: str
    line: int


class ExDarkBox(NamedTuple):
    """One labelled object: its class, left, top, width and height in pixels, as written, and its line number."""

    class_name: str
    left: float
    top: float
    width: float
    height: float
    line: int

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """x1 y1 x2 y2."""
        return self.left, self.top, self.left + self.width, self.top + self.height


def parse_exdark_list(text: str, source: str) -> list[ExDarkImage]:
    r"""Read ``imageclasslist.txt`` or a part of it; its line of column titles may be missing.

    Raises:
        InputError: the list is empty, a row is malformed, or an image is listed twice; names ``source`` and the line.

    Example:
        >>> parse_exdark_list('2015_00002.png 1 6 2 1', 'list.txt')[0][:5]
        ('2015_00002.png', 'Bicycle', 'Strong', 'Outdoor', 'train')
    """
    images: dict[str, ExDarkImage] = {}
    for number, line in lines_of(text):
        name, *numbers = line.split()
        if '|' in line and not images:  # the titles
            continue
        try:
            image = ExDarkImage(name, *_words(numbers), number)
        except ValueError:
            raise InputError(
                f'{source}:{number}: expected "name class light place split" with numbers up to 12, 10, 2 and 3, '
                f'not {shown(line)}: take the official imageclasslist.txt'
            ) from None
        if name in images:
            raise InputError(
                f'{source}:{number}: {name[:60]} is listed already in line {images[name].line}; remove one'
            )
        images[name] = image
    if not images:
        raise InputError(f'{source} lists no image: take the official imageclasslist.txt')
    return list(images.values())


def parse_exdark_label(text: str, source: str) -> list[ExDarkBox]:
    r"""Parse the objects of a label file; order and values are kept, and objects without a size are included.

    A file without rows, or an empty one, means no object: the official label of ``2015_05894.jpg`` has none.

    Raises:
        InputError: the file is malformed; the message names ``source`` and the line.

    Example:
        >>> parse_exdark_label('% bbGt version=3\nCup 10 20 30 40 0 0 0 0 0 0 0', 'a.txt')[0][:5]
        ('Cup', 10.0, 20.0, 30.0, 40.0)
    """
    lines = lines_of(text)
    if lines and ' '.join(lines[0][1].split()) != HEADER:
        raise InputError(f'{source}:{lines[0][0]}: {HEADER!r} should stand here, not {shown(lines[0][1])}')
    return [_box(line, source) for line in lines[1:]]


def _words(numbers: list[str]) -> Iterator[str]:
    """The names that the numbers of a row stand for; ``ValueError`` for other numbers."""
    for number, names in zip(numbers, _COLUMNS, strict=True):
        if not 1 <= int(number) <= len(names):
            raise ValueError(number)
        yield names[int(number) - 1]


def _box(line: Line, source: str) -> ExDarkBox:
    number, text = line
    name, *values = text.split()
    if name.lower() not in _CLASS_OF:
        raise InputError(f'{source}:{number}: class {shown(name)} is none of the 12 of ExDark ({", ".join(CLASSES)})')
    expected = 'an object should be "class left top width height"'
    box = parse_row(values[:4], f'{source}:{number}', expected, [4])
    if len(values) + 1 != _LABEL_COLUMNS:
        raise InputError(f'{source}:{number}: an object should have {_LABEL_COLUMNS} columns, not {len(values) + 1}')
    return ExDarkBox(_CLASS_OF[name.lower()], *box, number)
