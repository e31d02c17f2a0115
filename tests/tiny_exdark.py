"""An ExDark folder in the official layout and a COCO folder: noise with one object in each image."""

import json
from collections.abc import Iterable
from pathlib import Path

from mmdet.datasets import CocoDataset

from mmdark.converters.coco_document import AnnotatedBox, AnnotatedImage, coco_document
from mmdark.datasets.exdark_annotation import CLASSES, HEADER, LIGHTS, PLACES, SPLITS
from tests.tiny_own_data import SIZE
from tests.tiny_wider import FACE, photo

Row = tuple[str, str, str, str, str]
ROWS: list[Row] = [
    ('2015_00001.png', 'Bicycle', 'Low', 'Outdoor', 'train'),
    ('2015_00002.jpg', 'People', 'Ambient', 'Indoor', 'train'),
    ('2015_00003.JPG', 'Table', 'Screen', 'Indoor', 'val'),
    ('2015_00004.JPEG', 'Motorbike', 'Twilight', 'Outdoor', 'test'),
    ('2015_00005.jpg', 'Cup', 'Low', 'Indoor', 'test'),
]
"""Name, class, light, place and split of each image; its object is of the same class."""


def list_text(rows: Iterable[Row] = ROWS) -> str:
    """``imageclasslist.txt`` of some images, with the official line ends."""
    lines = ['Name | Class | Light | In/Out | Train/Val/Test']
    for name, *words in rows:
        numbers = [kinds.index(word) + 1 for kinds, word in zip((CLASSES, LIGHTS, PLACES, SPLITS), words, strict=True)]
        lines.append(' '.join(map(str, (name, *numbers))))
    return '\r\n'.join(lines) + '\r\n'


def label_text(*boxes: tuple) -> str:
    """A label file with a row for each (class, left, top, width, height)."""
    return '\n'.join([HEADER, *(f'{" ".join(map(str, box))} 0 0 0 0 0 0 0' for box in boxes)]) + '\n'


def write_exdark(root: Path) -> Path:
    """Images of 96 by 80 pixels and their labels."""
    for seed, (name, class_name, *_) in enumerate(ROWS):
        for folder in ('ExDark', 'ExDark_Annno'):
            (root / folder / class_name).mkdir(parents=True, exist_ok=True)
        photo(seed).point(lambda value: value // 4).save(root / 'ExDark' / class_name / name)
        (root / 'ExDark_Annno' / class_name / f'{name}.txt').write_text(label_text((class_name, *FACE)))
    (root / 'imageclasslist.txt').write_text(list_text(), newline='')
    return root


def write_coco_2017(root: Path) -> Path:
    """Two images to train on and two to validate on, with all 80 categories; the objects are persons."""
    (root / 'annotations').mkdir(parents=True)
    for part in ('train2017', 'val2017'):
        (root / part).mkdir()
        images = [AnnotatedImage(f'{number}.jpg', *SIZE, [AnnotatedBox(*FACE)]) for number in range(2)]
        for seed, image in enumerate(images):
            photo(seed).save(root / part / image.name)
        document, _ = coco_document(images, CocoDataset.METAINFO['classes'])
        (root / 'annotations' / f'instances_{part}.json').write_text(json.dumps(document))
    return root
