"""Files of predictions and labels in the official formats of WIDER FACE and DARK FACE: strict readers, exact writers.

A malformed file is refused with its line. Missing files and files of unknown images are returned as problems, one line
each, since the official tools accept them, too. What the writers write is read back bit for bit.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from mmdark.errors import InputError, shown
from mmdark.whole_file import write_whole, writing_whole

from .text_sources import SUFFIX, open_texts, read_text

Boxes = tuple[dict[str, np.ndarray], list[str]]
"""Rows of each image, and the problems of the files."""

_SUFFIX = re.compile(r'\.(txt|jpg|jpeg|png|bmp)$', re.IGNORECASE)


class BoxFormat(NamedTuple):
    """A text format of the boxes of an image: the columns of a row, and the lines before the rows.

    The last of these lines, if there are any, is the number of rows; the first of two is the image's name.
    """

    columns: str
    head: int
    file: str
    """How the file of an image is called."""

    def __str__(self) -> str:
        """A description for messages."""
        lines = ('image name', 'number of rows', f'rows "{self.columns}"')
        return f'{self.file} with {", ".join(lines[2 - self.head :])}'


WIDER_PREDICTION = BoxFormat('x y w h score', 2, 'event/image.txt')
DARK_FACE_PREDICTION = BoxFormat('x1 y1 x2 y2 score', 0, 'image.txt')
DARK_FACE_LABEL = BoxFormat('x1 y1 x2 y2', 1, 'image.txt')


def read_wider_predictions(path: str | os.PathLike, expected: Collection[str]) -> Boxes:
    """Read predictions in WIDER FACE's format, ``event/image.txt``: name, number of rows, rows ``x y w h score``.

    Args:
        path: a folder or a zip, with the event folders anywhere below.
        expected: the images of the ground truth, ``event/image`` without suffix.

    Returns:
        Image → rows, shape ``(N, 5)``, by falling score, for the images that have a file; and the problems.

    Raises:
        InputError: the path cannot be opened, a file is malformed, or none belongs to an image.
    """
    return _read(path, WIDER_PREDICTION, expected)


def read_dark_face_predictions(path: str | os.PathLike, expected: Collection[str]) -> Boxes:
    """Read predictions in DARK FACE's format, ``image.txt`` with rows ``x1 y1 x2 y2 score``, without a count.

    Otherwise as :func:`read_wider_predictions`, with names of images without folders.
    """
    return _read(path, DARK_FACE_PREDICTION, expected)


def read_dark_face_labels(path: str | os.PathLike, images: Collection[str] | None = None) -> Boxes:
    """Read DARK FACE's labels, ``image.txt`` with the number of faces and then rows ``x1 y1 x2 y2``.

    ``images`` are the names without suffix; by default all that have a label. Otherwise as
    :func:`read_wider_predictions`.
    """
    return _read(path, DARK_FACE_LABEL, images)


def read_image_list(path: str | os.PathLike) -> list[str]:
    """The images of a list with one path or name per line, ``./data/gt/1.txt`` as ``1``; each once, in order.

    Raises:
        InputError: the file is missing, empty, or not text.
    """
    lines = [line.strip() for line in read_text(Path(path)).splitlines() if line.strip()]
    if not lines:
        raise InputError(f'{path} is empty: it should have the name of one image per line')
    return list(dict.fromkeys(_SUFFIX.sub('', line.replace('\\', '/').split('/')[-1]) for line in lines))


def parse_boxes(text: str, form: BoxFormat, file: str) -> np.ndarray:
    r"""The rows of one file, shape ``(N, columns)``; with scores, by falling score.

    Raises:
        InputError: the text is not of this format; names ``file`` and the line.

    Example:
        >>> parse_boxes('a\n1\n1 2 3 4 0.5', WIDER_PREDICTION, 'a.txt').tolist()
        [[1.0, 2.0, 3.0, 4.0, 0.5]]
    """
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) < form.head:
        raise InputError(f'{file} ends before the number of rows: write {form}')
    head, body = lines[: form.head], lines[form.head :]
    if head and head[-1][1] != [str(len(body))]:
        number, words = head[-1]
        raise InputError(
            f'{file}:{number}: the number of rows should stand here, {len(body)}, not {shown(" ".join(words))}: write '
            f'{form}'
        )
    width = len(form.columns.split())
    rows = np.empty((len(body), width))
    for place, (number, words) in enumerate(body):
        try:
            rows[place] = [float(word) for word in words]
            valid = len(words) == width and math.isfinite(rows[place].sum())
        except ValueError:
            valid = False
        if not valid:
            raise InputError(
                f'{file}:{number}: a row should be {width} finite numbers, "{form.columns}", not '
                f'{shown(" ".join(words))}'
            )
    return rows[np.argsort(-rows[:, 4], kind='stable')] if width == 5 else rows


def write_wider_predictions(folder: str | os.PathLike, predictions: Mapping[str, np.ndarray]) -> None:
    """Write ``event/image.txt`` for each image: its name, the number of rows, ``x y w h score`` by falling score.

    Widths are written as given: w = x2 - x1, without another +1. Numbers have all their digits, so that reading back
    gives the same AP. The folder is made where it is missing.

    Args:
        folder: of the event folders.
        predictions: ``event/image`` without suffix → x y w h score, shape ``(N, 5)``.

    Raises:
        InputError: a file cannot be written; those before it are complete.
        ValueError: an array has another shape.
    """
    texts = {
        image: f'{image.rsplit("/", 1)[-1]}\n{len(rows)}\n{_lines(image, rows)}' for image, rows in predictions.items()
    }
    for image, text in texts.items():
        write_whole(Path(folder, image + SUFFIX), text.encode(errors='surrogateescape'))  # a name may be no text


def write_dark_face_zip(path: str | os.PathLike, predictions: Mapping[str, np.ndarray]) -> None:
    """Write a DARK FACE submission: a zip with one ``image.txt`` per image, rows ``x1 y1 x2 y2 score``, no count.

    The same predictions give the same bytes; an existing zip is replaced at the end, whole or not at all. An image
    without detections gets an empty file.

    Args:
        path: of the zip; its folder is made where it is missing.
        predictions: image without suffix → x1 y1 x2 y2 score, shape ``(N, 5)``.

    Raises:
        InputError: the zip cannot be written.
        ValueError: an array has another shape.
    """
    texts = {f'{image}{SUFFIX}': _lines(image, rows) for image, rows in predictions.items()}
    with writing_whole(path) as part, ZipFile(part, 'w') as archive:
        for name, text in texts.items():
            archive.writestr(ZipInfo(name), text, ZIP_DEFLATED)


def _read(path: str | os.PathLike, form: BoxFormat, expected: Collection[str] | None) -> Boxes:
    parts = form.file.count('/') + 1
    boxes, unknown = {}, []
    with open_texts(path) as texts:
        keys = {name: '/'.join(name[: -len(SUFFIX)].split('/')[-parts:]) for name in texts}
        images = dict.fromkeys(keys.values() if expected is None else expected)
        for name, key in keys.items():
            if key not in images:
                unknown.append(name)
            elif key in boxes:
                raise InputError(f'{path} holds two files of {key}, one of them {name}: remove one')
            else:
                boxes[key] = parse_boxes(texts[name](), form, f'{path}: {name}')
    if not boxes:
        raise InputError(
            f'{path}: none of its {len(unknown)} files belongs to one of the {len(images)} images: it holds '
            f'{unknown[0]}, where {next(iter(images), "image")}{SUFFIX} is needed; give {form}'
        )
    problems = []
    is_prediction = form is not DARK_FACE_LABEL
    if missing := [key for key in images if key not in boxes]:
        result = 'they count as images without detections' if is_prediction else 'they are not scored'
        problems.append(f'{len(missing)} of {len(images)} images have no file, the first is {missing[0]}; {result}')
    if unknown and is_prediction:  # labels may lie beside other texts, and a list may choose some of them
        problems.append(
            f'{len(unknown)} of {len(keys)} files belong to no image of the ground truth, the first is {unknown[0]}; '
            'they are left out'
        )
    return boxes, problems


def _lines(image: str, rows: np.ndarray) -> str:
    """The rows as text by falling score, each number with all its digits."""
    rows = np.asarray(rows, dtype=np.float64)
    if rows.size and (rows.ndim != 2 or rows.shape[1] != 5):
        raise ValueError(f'{image}: the rows should have the shape (N, 5), not {rows.shape}')
    rows = rows.reshape(-1, 5)
    rows = rows[np.argsort(-rows[:, 4], kind='stable')]
    return ''.join(' '.join(map(repr, row)) + '\n' for row in rows.tolist())
