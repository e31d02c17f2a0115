"""YOLO data sets: images, a label file of the same name for each, and ``data.yaml`` that names the folders."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from mmdark.converters.coco_document import AnnotatedBox, AnnotatedImage
from mmdark.datasets.image_files import IMAGE_SUFFIXES, image_size, is_image
from mmdark.datasets.label_files import lines_of, parse_row, read_text
from mmdark.errors import InputError, shown

PARTS = ('train', 'val', 'test')
"""Keys of ``data.yaml`` that name a part."""
_TOLERANCE = 1e-6  # rounding to six digits may exceed 1 by this
_ROW = 'a row should be the five numbers "class cx cy w h", with a score or without'


class YoloPart(NamedTuple):
    """A part of a data set: its name, the folder of its images and that of its label files."""

    name: str
    images: Path
    labels: Path


def yolo_to_images(
    labels: Path, folder: Path, names: Sequence[str] | None = None
) -> tuple[list[AnnotatedImage], list[str]]:
    """Read all images below ``folder`` with their boxes, sorted by name; also return the names without a label file.

    The label file of ``a/b.jpg`` is ``a/b.txt`` below ``labels``; an image with no label file, or an empty one, has no
    objects.

    Args:
        labels: folder of the label files, rows ``class cx cy w h`` in fractions of the image. A sixth number, the score
            that detectors write, is ignored.
        folder: folder of the images.
        names: class names; if None, class 0 is the only class.

    Raises:
        InputError: there is no image, an image cannot be read, a label file has no image, or a row is malformed; the
            message names the first such row and how many there are.
    """
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if is_image(path))
    if not paths:
        raise InputError(f'{folder} holds no image ({", ".join(IMAGE_SUFFIXES)}): set --images to their folder')
    files = {path.relative_to(labels).with_suffix('').as_posix(): path for path in sorted(labels.rglob('*.txt'))}
    _check_label_files(files, paths, folder)
    images, without, faults = [], [], []
    for name in paths:
        width, height = image_size(folder / name)
        file = files.get(_stem(name))
        text = read_text(str(file), 'label', 'write it again, or delete it') if file else ''
        without += [] if file else [name]
        boxes = []
        for number, row in lines_of(text):
            try:
                boxes.append(_box(row, f'{file}:{number}', width, height, names))
            except InputError as error:
                faults.append(str(error))
        images.append(AnnotatedImage(name, width, height, boxes))
    if faults:
        more = f' ({len(faults)} such rows in all)' if len(faults) > 1 else ''
        raise InputError(f'{faults[0]}; mend the row or take it out{more}')
    return images, without


def read_data_yaml(path: Path) -> tuple[list[YoloPart], list[str]]:
    """The parts and the names of the classes in a ``data.yaml``.

    A part is a folder relative to the key ``path``, which is relative to the folder of the file. If the part does not
    exist there, it is searched in the folder of the file, as training codes do (export tools write ``../train/images``
    for a ``train/`` next to the file). The label folder is the image folder with the last ``images`` replaced by
    ``labels``.

    Raises:
        InputError: the file or a folder is missing, or the file is malformed.
    """
    document = _document(path)
    bases = [path.parent / str(document.get('path') or ''), path.parent]
    parts = [_part(path, name, document[name], bases) for name in PARTS if document.get(name)]
    if not parts:
        raise InputError(f'{path} names no part: write train: images/train and val: images/val into it')
    return parts, _class_names(path, document)


def _document(path: Path) -> dict[str, Any]:
    text = read_text(str(path), 'data set', 'name a data.yaml')
    try:
        document = yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        mark = getattr(error, 'problem_mark', None)
        where = f':{mark.line + 1}' if mark else ''
        raise InputError(f'{path}{where} is no YAML: mend it, or name the folders instead') from None
    if not isinstance(document, dict):
        raise InputError(f'{path} holds {shown(document)}, not names and values: mend it, or name the folders instead')
    return document


def _part(path: Path, name: str, folder: object, bases: Sequence[Path]) -> YoloPart:
    if not isinstance(folder, str) or '\0' in folder:
        raise InputError(f'{path}: {name} is {shown(folder)}: it should be one folder of images')
    inner = PurePosixPath(*(part for part in PurePosixPath(folder).parts if part != '..'))
    places = [*(base / folder for base in bases), path.parent / inner]
    images = next((place for place in places if os.path.isdir(place)), None)
    if images is None:
        raise InputError(f'{path}: {name} is {shown(folder)}, but {str(places[0])[:120]} is not a folder: correct it')
    parts = images.parts
    last = max((place for place, part in enumerate(parts) if part == 'images'), default=None)
    labels = images if last is None else Path(*parts[:last], 'labels', *parts[last + 1 :])
    if not labels.is_dir():
        raise InputError(f'{path}: the labels of {name} should be in {labels}, which is not a folder: put them there')
    return YoloPart(name, images, labels)


def _class_names(path: Path, document: dict[str, Any]) -> list[str]:
    names = document.get('names')
    if isinstance(names, dict):
        names = [names.get(number) for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        given = shown(document.get('names'))
        raise InputError(f'{path}: names is {given}: write the name of each class, names: [face]')
    if len(set(names)) < len(names):
        raise InputError(f'{path}: names holds one name twice: {shown(names)}')
    return names


def _check_label_files(files: dict[str, Path], paths: list[str], folder: Path) -> None:
    """Raise if a label file has no image or two images share one; files such as ``classes.txt`` are ignored."""
    stems = [_stem(path) for path in paths]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise InputError(f'{folder}: two images share the name {twice!r} and so its label file: rename one')
    known = {*stems, 'classes', 'names', 'obj', 'predefined_classes'}
    orphans = [path for stem, path in files.items() if stem not in known]
    if orphans:
        raise InputError(
            f'{orphans[0]}: its image is not below {folder} ({len(orphans)} of {len(files)} label files have none): '
            'set --images to the folder of the images, or delete these label files'
        )


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix('').as_posix()


def _box(row: str, where: str, width: int, height: int, names: Sequence[str] | None) -> AnnotatedBox:
    words = row.split()
    label, *fractions = parse_row(words, where, _ROW, [5, 6])[:5]
    if label < 0 or label != int(label if math.isfinite(label) else -1):
        raise InputError(f'{where}: the class should be a whole number from 0 on, not {words[0][:60]}')
    if label >= len(names or [0]):
        known = f'there are {len(names)} names' if names else 'without names class 0, face, is the only one'
        raise InputError(f'{where}: class {words[0][:60]} has no name: {known}')
    if not all(-_TOLERANCE <= value <= 1 + _TOLERANCE for value in fractions):
        raise InputError(
            f'{where}: cx cy w h should be fractions of the image, from 0 to 1, not {" ".join(words[1:5])[:60]}'
        )
    center_x, center_y, box_width, box_height = fractions
    x, y = (center_x - box_width / 2) * width, (center_y - box_height / 2) * height
    return AnnotatedBox(*(round(value, 4) for value in (x, y, box_width * width, box_height * height)), int(label))
