"""YOLO data sets as they lie: images, a label file of the same name for each, and ``data.yaml`` that names them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from mmdark.datasets.face_formats import IMAGE_SUFFIXES, AnnotatedBox, AnnotatedImage, image_size, is_image
from mmdark.errors import InputError, shown
from mmdark.file_limits import refuse_endless

PARTS = ('train', 'val', 'test')
"""Keys of ``data.yaml`` that name a part."""
_TOLERANCE = 1e-6  # what rounding to six digits may add to a number
_ROW = 'the five numbers "class cx cy w h", with a score or without'
_COLUMNS = (5, 6)


class YoloPart(NamedTuple):
    """A part of a data set: its name, the folder of its images and that of its label files."""

    name: str
    images: Path
    labels: Path


def yolo_to_images(
    labels: str | Path, folder: str | Path, names: Sequence[str] | None = None
) -> tuple[list[AnnotatedImage], list[str]]:
    """A YOLO data set: all images below ``folder`` in the order of their names, with the rows of their label files.

    The label file of ``a/b.jpg`` is ``a/b.txt`` below ``labels``; none, or an empty one, means an image without faces.

    Args:
        labels: folder of the label files, rows ``class cx cy w h`` in fractions of the image. A sixth number, the score
            that detectors write, is passed over.
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
                boxes.append(_box(row, width, height, names))
            except ValueError as error:
                faults.append(f'{label_file}:{number}: {error}')
        images.append(AnnotatedImage(name, width, height, boxes))
    if faults:
        more = f' ({len(faults)} such rows in all)' if len(faults) > 1 else ''
        raise InputError(f'{faults[0]}; mend the row or take it out{more}')
    return images, without


def read_data_yaml(path: str | Path) -> tuple[list[YoloPart], list[str]]:
    """The parts and the names of the classes that a ``data.yaml`` names.

    A part is a folder, relative to ``path`` of the file, which is relative to the file's own folder; where nothing lies
    there, the part is looked for in that folder itself, as training codes do (exporting tools write ``../train/images``
    beside ``train/``). The labels lie where the images do, with the last ``images`` of the path replaced by ``labels``.

    Raises:
        InputError: the file or a folder is missing, or the file is malformed; names what was looked for.
    """
    path = Path(path)
    document = _document(path)
    bases = [path.parent / str(document.get('path') or ''), path.parent]
    parts = [_part(path, name, document[name], bases) for name in PARTS if document.get(name)]
    if not parts:
        raise InputError(f'{path} names no part: write train: images/train and val: images/val into it')
    return parts, _class_names(path, document)


def _document(path: Path) -> dict[str, Any]:
    """The file as a mapping."""
    try:
        refuse_endless(path)
        document = yaml.safe_load(path.read_text(encoding='utf-8-sig'))
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}): name a data.yaml') from None
    except (UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        mark = getattr(error, 'problem_mark', None)
        where = f':{mark.line + 1}' if mark else ''
        raise InputError(f'{path}{where} is no YAML: mend it, or name the folders instead') from None
    if not isinstance(document, dict):
        raise InputError(f'{path} holds {shown(document)}, not names and values: mend it, or name the folders instead')
    return document


def _part(path: Path, name: str, folder: object, bases: Sequence[Path]) -> YoloPart:
    """Where a part lies."""
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
        raise InputError(f'{path}: the labels of {name} should lie in {labels}, which is not a folder: put them there')
    return YoloPart(name, images, labels)


def _class_names(path: Path, document: dict[str, Any]) -> list[str]:
    """The names of the classes in the order of their numbers."""
    names = document.get('names')
    if isinstance(names, dict):
        names = [names.get(number) for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        given = shown(document.get('names'))
        raise InputError(f'{path}: names is {given}: write the name of each class, names: [face]')
    if len(set(names)) < len(names):
        raise InputError(f'{path}: names holds one name twice: {shown(names)}')
    return names


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
        refuse_endless(label_file)
        lines = label_file.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError):
        raise InputError(f'{label_file} is not a text file that can be read: write it again, or take it away') from None
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def _box(row: str, width: int, height: int, names: Sequence[str] | None) -> AnnotatedBox:
    """One row in pixels.

    Raises:
        ValueError: says what is wrong with the row.
    """
    words = row.split()
    try:
        label, *values = (float(word) for word in words)
    except ValueError:
        raise ValueError(f'a row should be {_ROW}, not {shown(row)}') from None
    if len(words) not in _COLUMNS:
        raise ValueError(f'a row should be {_ROW}, not {len(words)} numbers')
    if label < 0 or label != int(label if math.isfinite(label) else -1):
        raise ValueError(f'the class should be a whole number from 0 on, not {words[0][:60]}')
    if label >= len(names or [0]):
        known = f'there are {len(names)} names' if names else 'without names there is class 0, face, alone'
        raise ValueError(f'class {words[0][:60]} has no name: {known}')
    if not all(-_TOLERANCE <= value <= 1 + _TOLERANCE for value in values[:4]):
        raise ValueError(f'cx cy w h should be fractions of the image, from 0 to 1, not {" ".join(words[1:5])[:60]}')
    center_x, center_y, box_width, box_height = values[:4]
    x, y = (center_x - box_width / 2) * width, (center_y - box_height / 2) * height
    return AnnotatedBox(*(round(value, 4) for value in (x, y, box_width * width, box_height * height)), int(label))
