"""Annotated images as a COCO document, those of WIDER FACE first; pure but for the images' headers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from PIL import Image

from mmdark.datasets.transforms.pillow_pixels import any_size, upright_size
from mmdark.datasets.wider_annotation import WiderImage
from mmdark.errors import InputError
from mmdark.file_limits import refuse_endless
from mmdark.places import is_place

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
"""What counts as an image, in lower case."""


class AnnotatedBox(NamedTuple):
    """One box: left, top, width and height in pixels, its class counted from 0, and whether evaluation ignores it."""

    x: float
    y: float
    width: float
    height: float
    label: int = 0
    ignored: bool = False


class AnnotatedImage(NamedTuple):
    """One image: its name as the COCO file shall have it, width and height in pixels, and its boxes."""

    name: str
    width: int
    height: int
    boxes: list[AnnotatedBox]


def is_image(path: str | Path) -> bool:
    """Whether the name is that of an image; ``._*`` files, which macOS leaves behind, are none.

    Args:
        path: only its name is looked at.
    """
    path = Path(path)
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('._')


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height in pixels as ``LoadPhoto`` gives them, the EXIF orientation applied; only the header is read.

    Raises:
        InputError: the file is missing or its header is not that of an image.
    """
    try:
        refuse_endless(path)
        with any_size(), Image.open(path) as image:
            return upright_size(image)
    except Exception as error:  # Pillow's readers raise whatever their formats make them stumble over
        reason = getattr(error, 'strerror', None) or 'its header is not that of an image'
        raise InputError(
            f'image {path} cannot be read ({reason}): copy or download it again, or take it out of the annotation'
        ) from None


def coco_document(images: Iterable[AnnotatedImage], names: Sequence[str] = ('face',)) -> tuple[dict, int]:
    """The COCO document of some images.

    Ids are places: an image's in the sequence, a box's among all boxes, a category's among the names, all counted from
    1 (pycocotools takes a box with id 0 for "no match"). A box without a size (width or height not positive, or not
    finite) is left out, and its id with it, so that the ids of the others do not depend on it. An ignored box is
    ``iscrowd=1``: pycocotools then counts a detection on it neither way, and mmdet's ``CocoDataset`` puts it among the
    ignored instances. The key ``ignore`` is not used: pycocotools overwrites it, and ``CocoDataset`` drops such a box,
    so that its face would be trained on as background.

    Returns:
        The document, and the number of boxes left out.

    Example:
        >>> box = AnnotatedBox(10, 20, 30, 40)
        >>> coco_document([AnnotatedImage('a.jpg', 640, 480, [box])])[0]['annotations'][0]['bbox']
        [10, 20, 30, 40]
    """
    entries, annotations, box_id, dropped = [], [], 0, 0
    for image_id, image in enumerate(images, 1):
        entries.append({'id': image_id, 'file_name': image.name, 'width': image.width, 'height': image.height})
        for box in image.boxes:
            box_id += 1
            if not (box.width > 0 and box.height > 0 and all(map(is_place, box[:4]))):
                dropped += 1
                continue
            annotations.append(
                {
                    'id': box_id,
                    'image_id': image_id,
                    'category_id': box.label + 1,
                    'bbox': [_plain(value) for value in box[:4]],
                    'area': _plain(box.width * box.height),
                    'iscrowd': int(box.ignored),
                    'segmentation': [],
                }
            )
    categories = [{'id': number, 'name': name, 'supercategory': ''} for number, name in enumerate(names, 1)]
    return {'images': entries, 'annotations': annotations, 'categories': categories}, dropped


def wider_to_images(records: Sequence[WiderImage], folder: str | Path, source: str) -> list[AnnotatedImage]:
    """Records of a WIDER FACE annotation with the sizes of their images.

    A face that the official file calls invalid is ignored.

    Args:
        records: from :func:`mmdark.datasets.wider_annotation.parse_wider_annotation`.
        folder: where the images lie; names in the result are relative to it. Leading folders of a name that repeat the
            end of ``folder`` are dropped, as ``WiderDataset`` does.
        source: how messages name the annotation.

    Raises:
        InputError: an image is missing or cannot be read.
    """
    names = [name_below(record.name, folder) for record in records]
    missing = [i for i, name in enumerate(names) if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        record = records[missing[0]]
        raise InputError(
            f'{source}:{record.line}: image {record.name[:60]} is not there: looked for '
            f'{os.path.join(folder, names[missing[0]][:60])} ({len(missing)} of {len(records)} images are missing); '
            'set --images to where the images lie, or take the missing ones out of the annotation'
        )
    return [
        AnnotatedImage(
            name,
            *image_size(os.path.join(folder, name)),
            [AnnotatedBox(*face[:4], 0, face.invalid) for face in record.faces],
        )
        for name, record in zip(names, records, strict=True)
    ]


def name_below(name: str, folder: str | Path) -> str:
    """An annotated name relative to ``folder``, without the leading folders that repeat the end of ``folder``.

    Example:
        >>> name_below('WIDER_val/images/0--Parade/a.jpg', 'data/WIDER_val/images')
        '0--Parade/a.jpg'
    """
    ends, parts = Path(os.path.abspath(folder)).parts, PurePosixPath(name).parts
    for shared in range(len(parts) - 1, 0, -1):
        if ends[-shared:] == parts[:shared]:
            return '/'.join(parts[shared:])
    return name


def _plain(value: float) -> float | int:
    """Without a fraction where there is none."""
    return int(value) if float(value).is_integer() else round(float(value), 4)
