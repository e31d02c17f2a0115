"""Face annotations of two text formats, WIDER FACE and YOLO, as one COCO document; pure but for the images' headers."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from PIL import Image

from mmdark.datasets.transforms.pillow_pixels import any_size, upright_size
from mmdark.datasets.wider_annotation import WiderImage
from mmdark.errors import InputError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
"""What counts as an image, in lower case."""

_TOLERANCE = 1e-6  # what rounding to six digits may add to a YOLO number
_YOLO_COLUMNS = 5


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
            if not (box.width > 0 and box.height > 0 and math.isfinite(sum(box[:4]))):
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
            f'{source}:{record.line}: image {record.name} is not there: looked for '
            f'{os.path.join(folder, names[missing[0]])} ({len(missing)} of {len(records)} images are missing); set '
            '--images to where the images lie, or take the missing ones out of the annotation'
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


def yolo_to_images(
    labels: str | Path, folder: str | Path, names: Sequence[str] | None = None
) -> tuple[list[AnnotatedImage], list[str]]:
    """A YOLO data set: all images below ``folder`` in the order of their names, with the rows of their label files.

    The label file of ``a/b.jpg`` is ``a/b.txt`` below ``labels``; none, or an empty one, means an image without faces.

    Args:
        labels: folder of the label files, rows ``class cx cy w h`` in fractions of the image.
        folder: folder of the images.
        names: of the classes; without them there is class 0 alone.

    Returns:
        The images, their names relative to ``folder``, and the names of those without a label file.

    Raises:
        InputError: there is no image, an image cannot be read, a label file has no image, or a row is malformed; the
            message names the first such row and how many there are.
    """
    paths = sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob('*') if is_image(path))
    if not paths:
        raise InputError(f'{folder} holds no image ({", ".join(IMAGE_SUFFIXES)}): set --images to where they lie')
    texts = {path.relative_to(labels).with_suffix('').as_posix(): path for path in sorted(Path(labels).rglob('*.txt'))}
    _check_label_files(texts, paths, folder)
    images, without, faults = [], [], []
    for name in paths:
        width, height = image_size(Path(folder, name))
        label_file = texts.get(PurePosixPath(name).with_suffix('').as_posix())
        without += [name] if label_file is None else []
        boxes = []
        for number, row in _rows(label_file):
            try:
                boxes.append(_yolo_box(row, width, height, names))
            except ValueError as error:
                faults.append(f'{label_file}:{number}: {error}')
        images.append(AnnotatedImage(name, width, height, boxes))
    if faults:
        more = f' ({len(faults)} such rows in all)' if len(faults) > 1 else ''
        raise InputError(f'{faults[0]}; mend the row or take it out{more}')
    return images, without


def _check_label_files(texts: dict[str, Path], paths: list[str], folder: str | Path) -> None:
    """Raise where label files have no image, or one has two; ``classes.txt`` and the like hold names."""
    stems = [PurePosixPath(path).with_suffix('').as_posix() for path in paths]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise InputError(f'{folder}: two images share the name {twice!r} and so its label file: rename one')
    known = {*stems, 'classes', 'names', 'obj', 'predefined_classes'}
    orphans = [path for stem, path in texts.items() if stem not in known]
    if orphans:
        raise InputError(
            f'{orphans[0]}: its image is not below {folder} ({len(orphans)} of {len(texts)} label files have none): '
            'set --images to where the images lie, or take these label files away'
        )


def _rows(label_file: Path | None) -> list[tuple[int, str]]:
    """The rows of a label file with their numbers, blank ones left out."""
    if label_file is None:
        return []
    try:
        lines = label_file.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError):
        raise InputError(f'{label_file} is not a text file that can be read: write it again, or take it away') from None
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def _yolo_box(row: str, width: int, height: int, names: Sequence[str] | None) -> AnnotatedBox:
    """One row in pixels.

    Raises:
        ValueError: says what is wrong with the row.
    """
    words = row.split()
    try:
        label, *values = (float(word) for word in words)
    except ValueError:
        raise ValueError(f'a row should be the five numbers "class cx cy w h", not {row[:60]!r}') from None
    if len(words) != _YOLO_COLUMNS:
        raise ValueError(f'a row should be the five numbers "class cx cy w h", not {len(words)} numbers')
    if label < 0 or label != int(label if math.isfinite(label) else -1):
        raise ValueError(f'the class should be a whole number from 0 on, not {words[0]}')
    if label >= len(names or [0]):
        known = f'--names has {len(names)} names' if names else 'without --names there is class 0, face, alone'
        raise ValueError(f'class {words[0]} has no name: {known}')
    if not all(-_TOLERANCE <= value <= 1 + _TOLERANCE for value in values):
        raise ValueError(f'cx cy w h should be fractions of the image, from 0 to 1, not {" ".join(words[1:])}')
    center_x, center_y, box_width, box_height = values
    x, y = (center_x - box_width / 2) * width, (center_y - box_height / 2) * height
    return AnnotatedBox(*(round(value, 4) for value in (x, y, box_width * width, box_height * height)), int(label))


def _plain(value: float) -> float | int:
    """Without a fraction where there is none."""
    return int(value) if float(value).is_integer() else round(float(value), 4)
