"""ExDark's text files read into plain records, and its classes as COCO names them; knows nothing of images on disk.

``imageclasslist.txt`` holds a row ``name class light place split`` for each of the 7,363 images, in numbers; the label
of an image is a file of Piotr's toolbox: ``% bbGt version=3``, then a row for each object with its class, left, top,
width and height in pixels and seven columns that ExDark does not use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

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
"""ExDark's classes in the order of their numbers, each with the class of COCO that it is."""

CLASSES = tuple(COCO_NAMES)
LIGHTS = ('Low', 'Ambient', 'Object', 'Single', 'Weak', 'Strong', 'Screen', 'Window', 'Shadow', 'Twilight')
PLACES = ('Indoor', 'Outdoor')
SPLITS = ('train', 'val', 'test')
_COLUMNS = (('class', CLASSES), ('light', LIGHTS), ('place', PLACES), ('split', SPLITS))

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


def parse_exdark_list(text: str, source: str) -> list[ExDarkImage]:
    r"""Read ``imageclasslist.txt``, or a part of it.

    Args:
        text: the whole list; its line of column titles may be missing.
        source: how messages name the list, its path.

    Raises:
        InputError: the list is empty, a row is malformed, or an image is listed twice.

    Example:
        >>> parse_exdark_list('2015_00002.png 1 6 2 1', 'list.txt')[0][:5]
        ('2015_00002.png', 'Bicycle', 'Strong', 'Outdoor', 'train')
    """
    images: dict[str, ExDarkImage] = {}
    for number, line in _lines(text):
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
                f'{source}:{number}: {name[:60]} is listed already in line {images[name].line}; take out one of them'
            )
        images[name] = image
    if not images:
        raise InputError(f'{source} lists no image: take the official imageclasslist.txt')
    return list(images.values())


def parse_exdark_label(text: str, source: str) -> list[ExDarkBox]:
    r"""Read one label file.

    A file without rows, or with nothing at all, means no object: the official label of ``2015_05894.jpg`` has none.

    Args:
        text: the whole file.
        source: how messages name it, its path.

    Returns:
        The objects in the order of the file, every one as written, those without a size included.

    Raises:
        InputError: the file is malformed; the message names ``source`` and the line.

    Example:
        >>> parse_exdark_label('% bbGt version=3\nCup 10 20 30 40 0 0 0 0 0 0 0', 'a.txt')[0][:5]
        ('Cup', 10.0, 20.0, 30.0, 40.0)
    """
    lines = list(_lines(text))
    if lines and ' '.join(lines[0][1].split()) != HEADER:
        raise InputError(f'{source}:{lines[0][0]}: {HEADER!r} should stand here, not {shown(lines[0][1])}')
    return [_box(line, source) for line in lines[1:]]


def _words(numbers: list[str]) -> Iterator[str]:
    """What the numbers of a row stand for; ``ValueError`` where they are not such numbers."""
    for number, (_, words) in zip(numbers, _COLUMNS, strict=True):
        if not 1 <= int(number) <= len(words):
            raise ValueError(number)
        yield words[int(number) - 1]


def _box(line: tuple[int, str], source: str) -> ExDarkBox:
    """One row ``class left top width height`` and seven columns that are not used."""
    number, text = line
    name, *values = text.split()
    if name.lower() not in _CLASS_OF:
        raise InputError(f'{source}:{number}: class {shown(name)} is none of the 12 of ExDark ({", ".join(CLASSES)})')
    try:
        left, top, width, height = map(float, values[:4])
    except ValueError:
        raise InputError(
            f'{source}:{number}: an object should be "class left top width height", not {shown(text)}'
        ) from None
    if len(values) + 1 != _LABEL_COLUMNS:
        raise InputError(f'{source}:{number}: an object should have {_LABEL_COLUMNS} columns, not {len(values) + 1}')
    return ExDarkBox(_CLASS_OF[name.lower()], left, top, width, height, number)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    return ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip())
