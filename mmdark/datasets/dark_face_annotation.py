"""Parse DARK FACE's text files, and define our split of its images.

The official ``label/17.txt`` holds the number of faces in its first line and then one row ``x1 y1 x2 y2`` per face, in
pixels of ``image/17.png``.
"""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from mmdark.datasets.label_files import is_count, lines_of, parse_row
from mmdark.errors import InputError, shown

NUM_LABELLED = 6000
"""Labelled images of the official release, ``1.png`` to ``6000.png``, 1080 x 720 pixels each."""

NUM_VALIDATION = 500
"""How many of them are for validation; the rest is for training."""

SPLITS = ('train', 'val', 'all')
IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg')


class DarkFaceBox(NamedTuple):
    """One labelled face: left, top, right and bottom in pixels, as written, and its line number."""

    left: float
    top: float
    right: float
    bottom: float
    line: int


def split_numbers(split: str) -> list[int]:
    """The numbers of the images in one of our splits, ascending.

    The 4,000 test images of DARK FACE have no public labels, and since 2024-12-31 no server scores them. So we split
    the 6,000 labelled images: the 500 numbers ``n`` with the smallest SHA-256 of the text ``darkface:n`` are for
    validation. This does not depend on a random generator. ``configs/dark_face/dark_face_val.txt`` lists them.

    Args:
        split: ``'train'`` (5,500 images), ``'val'`` (500) or ``'all'``.

    Raises:
        InputError: there is no such split.

    Example:
        >>> len(split_numbers('train')), len(split_numbers('val'))
        (5500, 500)
    """
    if split not in SPLITS:
        raise InputError(f'split of DARK FACE is {split!r}: choose one of {", ".join(SPLITS)}, or folder')
    numbers = range(1, NUM_LABELLED + 1)
    if split == 'all':
        return list(numbers)
    by_digest = sorted(numbers, key=lambda n: hashlib.sha256(f'darkface:{n}'.encode('ascii')).digest())
    return sorted(by_digest[:NUM_VALIDATION] if split == 'val' else by_digest[NUM_VALIDATION:])


def parse_image_list(text: str, source: str) -> list[str]:
    r"""The images' file names of a list with one image per line, in its order.

    Folders are ignored, and ``.png`` is added to a name without an image suffix: ``17``, ``17.png``, ``image/17.png``
    and ``./data/gt/17.txt``, as in the official list, are the same image.

    Raises:
        InputError: the list is empty or names an image twice; names ``source``.

    Example:
        >>> parse_image_list('2.png\n./data/gt/1.txt', 'list.txt')
        ['2.png', '1.png']
    """
    names: dict[str, int] = {}
    for number, line in lines_of(text):
        name = line.replace('\\', '/').rsplit('/', 1)[-1]
        stem, suffix = os.path.splitext(name)
        name = name if suffix.lower() in IMAGE_SUFFIXES else f'{stem if suffix == ".txt" else name}.png'
        if name in names:
            raise InputError(f'{source}:{number}: {name[:60]} is listed already in line {names[name]}; remove one')
        names[name] = number
    if not names:
        raise InputError(f'{source} is empty: it should name one image per line, such as 17.png')
    return list(names)


def parse_label(text: str, source: str) -> list[DarkFaceBox]:
    r"""Parse the faces of a label file; order and values are kept, and faces without a size are included.

    Raises:
        InputError: the file is empty or malformed; the message names ``source`` and the line.

    Example:
        >>> parse_label('1\n10 20 40 60', 'label/1.txt')[0][:4]
        (10.0, 20.0, 40.0, 60.0)
    """
    lines = lines_of(text)
    if not lines:
        raise InputError(f'{source} is empty: its first line should be the number of faces, 0 where there is none')
    number, first = lines[0]
    if not is_count(first):
        raise InputError(f'{source}:{number}: the number of faces should stand here alone, not {shown(first)}')
    if int(first) != len(lines) - 1:
        raise InputError(
            f'{source}:{number}: the number of faces is {first}, but {len(lines) - 1} rows follow; correct the number, '
            'or copy the file again'
        )
    expected = 'a face should be four numbers, x1 y1 x2 y2'
    return [
        DarkFaceBox(*parse_row(text.split(), f'{source}:{number}', expected, [4]), number) for number, text in lines[1:]
    ]
