"""A DARK FACE folder in the official layout: dim noise with one less dim face in each image."""

from collections.abc import Iterable
from pathlib import Path

from mmdark.datasets.dark_face_annotation import split_numbers
from tests.tiny_wider import FACE, photo

TRAIN, VAL = split_numbers('train')[:4], split_numbers('val')[:4]
"""The numbers of the images in the folder."""

x, y, width, height = FACE
BOX = [x, y, x + width, y + height]
"""x1 y1 x2 y2 of the face in every image."""


def write_dark_face(root: Path, numbers: Iterable[int] = (*TRAIN, *VAL)) -> Path:
    """Images of 96 by 80 pixels and their labels; ``allow_missing`` must be set to use a part of DARK FACE."""
    for folder in ('image', 'label'):
        (root / folder).mkdir(parents=True)
    for number in numbers:
        photo(number).point(lambda value: value // 4).save(root / 'image' / f'{number}.png')
        (root / 'label' / f'{number}.txt').write_text(f'1\n{" ".join(map(str, BOX))}\n')
    return root
