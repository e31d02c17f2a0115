"""Annotated images as a COCO document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mmdark.datasets.image_files import image_size
from mmdark.datasets.label_files import join_once
from mmdark.datasets.wider_annotation import WiderImage
from mmdark.errors import InputError
from mmdark.places import is_place


class AnnotatedBox(NamedTuple):
    """One box: left, top, width and height in pixels, its class counted from 0, and whether evaluation ignores it."""

    x: float
    y: float
    width: float
    height: float
    label: int = 0
    ignored: bool = False


class AnnotatedImage(NamedTuple):
    """One image: its ``file_name`` in the COCO document, width and height in pixels, and its boxes."""

    name: str
    width: int
    height: int
    boxes: list[AnnotatedBox]


def coco_document(images: Iterable[AnnotatedImage], names: Sequence[str] = ('face',)) -> tuple[dict, int]:
    """The COCO document of some images, and the number of boxes left out.

    Ids count from 1 in the given order (pycocotools treats id 0 as "no match"). A box without a size (width or height
    not positive, or not finite) is left out and its id is skipped, so the other ids do not change. An ignored box gets
    ``iscrowd=1``: pycocotools then ignores detections that match it, and mmdet's ``CocoDataset`` adds it to the ignored
    instances. The key ``ignore`` is not used: pycocotools overwrites it, and ``CocoDataset`` would drop the box and
    train its face as background.

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


def wider_to_images(records: Sequence[WiderImage], folder: Path, source: str) -> list[AnnotatedImage]:
    """Records of a WIDER FACE annotation with the sizes of their images; invalid faces are ignored.

    Args:
        records: from :func:`mmdark.datasets.wider_annotation.parse_wider_annotation`.
        folder: folder of the images; names in the result are relative to it.
        source: the annotation file, for messages.

    Raises:
        InputError: an image is missing or cannot be read.
    """
    folder = folder.absolute()
    paths = [Path(join_once(str(folder), record.name)) for record in records]
    missing = [place for place, path in enumerate(paths) if not path.is_file()]
    if missing:
        record = records[missing[0]]
        raise InputError(
            f'{source}:{record.line}: image {record.name[:60]} is not there: looked for '
            f'{str(paths[missing[0]])[:120]} ({len(missing)} of {len(records)} images are missing); set --images to '
            'the folder of the images, or take the missing ones out of the annotation'
        )
    return [
        AnnotatedImage(
            path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path),
            *image_size(path),
            [AnnotatedBox(*face[:4], 0, face.invalid) for face in record.faces],
        )
        for path, record in zip(paths, records, strict=True)
    ]


def _plain(value: float) -> float | int:
    """A whole number without a fraction, others with four decimals."""
    return int(value) if float(value).is_integer() else round(float(value), 4)
