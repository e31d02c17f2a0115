"""Files of predictions and labels in the formats of WIDER FACE and DARK FACE: read whatever is readable, write exactly.

Each reader gives, beside the boxes, a list of problems: one line a problem, with the file, the line, what is wrong and
what was done. What is written with the writers is read back bit for bit, in order of falling score.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from mmdark.errors import InputError
from mmdark.whole_file import write_whole, writing_whole

from .box_rows import (
    DARK_FACE_LABEL,
    DARK_FACE_PREDICTION,
    WIDER_PREDICTION,
    BoxFormat,
    parse_boxes,
    without_image_suffix,
)
from .prediction_sources import SUFFIX, TextFile, file_reader, open_source, read_text

Found = tuple[dict[str, np.ndarray], list[str]]


def read_wider_predictions(path: str | os.PathLike, expected: Collection[str]) -> Found:
    """Read predictions in WIDER FACE's format: per event a folder, per image a file of name, count, ``x y w h score``.

    The folders may lie anywhere below the path; a file counts for the image ``event/image`` that its last two parts
    say, or else for the only image of its name.

    Args:
        path: a folder or a zip.
        expected: the images of the ground truth, ``event/image`` without suffix.

    Returns:
        Image → array of shape ``(N, 5)``, x y w h score in order of falling score (the official tool sorts, too),
        for the images that have a file that can be used; and the problems.

    Raises:
        InputError: the path cannot be opened, none of its files belongs to an image, or none holds a usable row.
    """
    return _read(path, WIDER_PREDICTION, expected)


def read_dark_face_predictions(path: str | os.PathLike, expected: Collection[str]) -> Found:
    """Read predictions in DARK FACE's format: per image a file of rows ``x1 y1 x2 y2 score``, without a count.

    Args:
        path: a folder or a zip.
        expected: the images of the ground truth, without folder and suffix.

    Returns:
        Image → array of shape ``(N, 5)``, x1 y1 x2 y2 score in order of falling score, and the problems.

    Raises:
        InputError: the path cannot be opened, none of its files belongs to an image, or none holds a usable row.
    """
    return _read(path, DARK_FACE_PREDICTION, expected)


def read_dark_face_labels(path: str | os.PathLike, images: Collection[str] | None = None) -> Found:
    """Read DARK FACE's labels: per image a file with the number of faces and then rows ``x1 y1 x2 y2``.

    Args:
        path: a folder or a zip.
        images: which images, without folder and suffix; all that have a label if it is left out.

    Returns:
        Image → array of shape ``(M, 4)``, x1 y1 x2 y2, and the problems.

    Raises:
        InputError: the path cannot be opened, or none of its files belongs to an image.
    """
    return _read(path, DARK_FACE_LABEL, images)


def read_image_list(path: str | os.PathLike) -> list[str]:
    """The images of a list with one path or name a line, without folders and suffix; each once, in order.

    Raises:
        InputError: the file is missing, empty, or not text.

    Example:
        ``./data/gt/1.txt`` is read as ``1``.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f'{path} does not exist: give a text file with the name of one image a line')
    text, fault, usable = read_text(TextFile(path.name, file_reader(path)))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not usable or not lines:
        raise InputError(f'{path} {fault or "is empty"}: it should have the name of one image a line')
    return list(dict.fromkeys(_key(line, 1) for line in lines))


def _key(name: str, parts: int) -> str:
    """The last parts of a path without ``.txt`` and an image's suffix."""
    name = '/'.join(name.replace('\\', '/').split('/')[-parts:])
    name = name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name
    return without_image_suffix(name)


class _Images:
    """The images that files can belong to."""

    def __init__(self, expected: Collection[str]) -> None:
        self.expected = dict.fromkeys(expected)
        self.parts = 1 + max((key.count('/') for key in self.expected), default=0)
        self.by_name = defaultdict(list)
        for key in self.expected:
            self.by_name[key.rsplit('/', 1)[-1]].append(key)

    def of(self, name: str) -> str | None:
        """The image of a file: what the end of its path says, or else the only image of its name."""
        if (key := _key(name, self.parts)) in self.expected:
            return key
        same = self.by_name.get(_key(name, 1), [])
        return same[0] if len(same) == 1 else None


class _Reading:
    """What has been read from one source, and what was wrong with it."""

    def __init__(self, form: BoxFormat, images: _Images) -> None:
        self.form, self.images = form, images
        self.boxes: dict[str, np.ndarray] = {}
        self.files: dict[str, str] = {}
        self.problems: list[str] = []
        self.many: dict[str, list[str]] = defaultdict(list)
        self.misnamed_as = ''
        self.left_out = 0

    def add(self, file: TextFile) -> None:
        """Read one file."""
        key = self.images.of(file.name)
        if key is None:
            self.many['unknown'].append(file.name)
            return
        if key in self.files:
            self.problems.append(f'{file.name}: a second file of {key}; it is left out, {self.files[key]} was read')
            return
        self.files[key] = file.name
        if not f'/{file.name}'.endswith(f'/{key}{SUFFIX}'):
            self.misnamed_as = self.misnamed_as or key
            self.many['misnamed'].append(file.name)
        text, fault, usable = read_text(file)
        if not usable:
            self.problems.append(f'{file.name}: {fault}; it is left out')
            return
        boxes = parse_boxes(text, self.form, key.rsplit('/', 1)[-1])
        self.problems += [f'{file.name}: {fault}'] if fault else []
        self.problems += [f'{file.name}:{line}' for line in boxes.faults]
        self.left_out += boxes.left_out
        if not boxes.was_sorted:
            self.many['unsorted'].append(file.name)
        self.boxes[key] = boxes.rows

    def summaries(self) -> list[str]:
        """One line for each problem that many files may share."""
        total = len(self.files) + len(self.many['unknown'])
        self.many['missing'] = [key for key in self.images.expected if key not in self.files]
        if self.form.has_score:
            done = 'they count as images without detections'
        else:
            done = 'they are not scored'
            self.many['unknown'] = self.many['other'] = []  # labels lie beside images, and a list chooses some of them
        wordings = {
            'missing': (f'of {len(self.images.expected)} images have no file', done),
            'unknown': (f'of {total} files belong to no image of the ground truth', 'they are left out'),
            'misnamed': (
                f'of {total} files are not where the official tool looks for them',
                f'they are read by the names of their images; it looks for {self.misnamed_as}{SUFFIX}',
            ),
            'unsorted': (
                f'of {total} files are not in order of falling score',
                'they are sorted, as the official tool does, too, so the AP is the same',
            ),
            'other': (f'files do not end in {SUFFIX}', 'they are left out'),
        }
        return [
            f'{len(self.many[kind])} {wrong}, the first is {self.many[kind][0]}; {done}'
            for kind, (wrong, done) in wordings.items()
            if self.many[kind]
        ]


def _read(path: str | os.PathLike, form: BoxFormat, expected: Collection[str] | None) -> Found:
    """Read all files of a source."""
    with open_source(path) as source:
        names = [file.name for file in source.texts]
        reading = _Reading(form, _Images([_key(name, 1) for name in names] if expected is None else expected))
        reading.many['other'] = source.others
        for file in source.texts:
            reading.add(file)
    if not reading.files:
        wanted = next(iter(reading.images.expected), 'image')
        raise InputError(
            f'{path}: none of its {len(names)} files belongs to one of the {len(reading.images.expected)} images: '
            f'it has {names[0]}, where {wanted}{SUFFIX} is needed'
        )
    if not any(map(len, reading.boxes.values())) and (reading.left_out or not reading.boxes):
        raise InputError(f'{path} holds no usable row {" ".join(form.columns)}: {reading.problems[0]}')
    return reading.boxes, reading.problems + reading.summaries()


def write_wider_predictions(folder: str | os.PathLike, predictions: Mapping[str, np.ndarray]) -> None:
    """Write ``event/image.txt`` for each image: its name, the number of rows, ``x y w h score`` by falling score.

    Widths are written as given: w = x2 - x1, no second +1. Numbers have all their digits, so that reading back gives
    the same AP. What is not finite is written, too; the reader names it and leaves it out.

    Args:
        folder: is made where it is missing; files of the same names are replaced.
        predictions: ``event/image`` without suffix → array of shape ``(N, 5)``, x y w h score.

    Raises:
        InputError: a file cannot be written; those before it are there.
        ValueError: an array has another shape.
    """
    texts = {
        image: f'{image.rsplit("/", 1)[-1]}\n{len(rows)}\n{_lines(image, rows)}' for image, rows in predictions.items()
    }
    for image, text in texts.items():
        write_whole(Path(folder, image + SUFFIX), text.encode(errors='surrogateescape'))  # a name may be no text


def write_dark_face_zip(path: str | os.PathLike, predictions: Mapping[str, np.ndarray]) -> None:
    """Write a DARK FACE submission: a zip with one ``image.txt`` an image, rows ``x1 y1 x2 y2 score``, no count.

    The same predictions give the same bytes; a zip of this name is replaced at the end, whole or not at all.

    Args:
        path: of the zip; its folder is made where it is missing.
        predictions: image without suffix → array of shape ``(N, 5)``, x1 y1 x2 y2 score; an image without detections
            gets an empty file.

    Raises:
        InputError: the zip cannot be written.
        ValueError: an array has another shape.
    """
    texts = {f'{image}{SUFFIX}': _lines(image, rows) for image, rows in predictions.items()}
    with writing_whole(path) as part, ZipFile(part, 'w') as archive:
        for name, text in texts.items():
            archive.writestr(ZipInfo(name), text, ZIP_DEFLATED)


def _lines(image: str, rows: np.ndarray) -> str:
    """The rows as text in order of falling score, each number with all its digits."""
    rows = np.asarray(rows, dtype=np.float64)
    if rows.size and (rows.ndim != 2 or rows.shape[1] != 5):
        raise ValueError(f'{image}: the rows should have the shape (N, 5), not {rows.shape}')
    rows = rows.reshape(-1, 5)
    rows = rows[np.argsort(-rows[:, 4], kind='stable')]
    return ''.join(' '.join(map(repr, row)) + '\n' for row in rows.tolist())
