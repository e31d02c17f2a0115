"""Read and write predictions and labels in the official formats of WIDER FACE and DARK FACE.

A malformed file raises an error that names its line. Missing files and files of unknown images are returned as
problems, one line each, because the official tools accept them. Numbers are written exactly: reading a written file
returns the same values.
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
"""Image → rows, and the list of problems of the files."""

_SUFFIX = re.compile(r'\.(txt|jpg|jpeg|png|bmp)$', re.IGNORECASE)


class BoxFormat(NamedTuple):
    """A text format for the boxes of an image: the columns of a row and the number of header lines (``head``).

    The last header line is the number of rows. If there are two, the first is the image name.
    """

    columns: str
    head: int
    file: str
    """Name pattern of the file of an image."""

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
        path: a folder or a zip; the event folders may be at any depth.
        expected: the images of the ground truth, ``event/image`` without suffix.

    Returns:
        Image → rows, shape ``(N, 5)``, sorted by descending score, for the images that have a file; and the problems.

    Raises:
        InputError: the path cannot be opened, a file is malformed, or none belongs to an image.
    """
    return _read(path, WIDER_PREDICTION, expected)


def read_dark_face_predictions(path: str | os.PathLike, expected: Collection[str]) -> Boxes:
    """Read predictions in DARK FACE's format, ``image.txt`` with rows ``x1 y1 x2 y2 score``, without a count.

    Otherwise as :func:`read_wider_predictions`, but image names have no folder.
    """
    return _read(path, DARK_FACE_PREDICTION, expected)


def read_dark_face_labels(path: str | os.PathLike, images: Collection[str] | None = None) -> Boxes:
    """Read DARK FACE's labels, ``image.txt`` with the number of faces and then rows ``x1 y1 x2 y2``.

    ``images`` are the image names without suffix; None reads all labels. Otherwise as :func:`read_wider_predictions`.
    """
    return _read(path, DARK_FACE_LABEL, images)


def read_image_list(path: str | os.PathLike) -> list[str]:
    """Read a list with one path or name per line and return the unique image names (``./data/gt/1.txt`` → ``1``).

    Raises:
        InputError: the file is missing, empty, or not text.
    """
    lines = [line.strip() for line in read_text(Path(path)).splitlines() if line.strip()]
    if not lines:
        raise InputError(f'{path} is empty: it should have the name of one image per line')
    return list(dict.fromkeys(_SUFFIX.sub('', line.replace('\\', '/').split('/')[-1]) for line in lines))


def parse_boxes(text: str, form: BoxFormat, file: str) -> np.ndarray:
    r"""Parse the rows of one file, shape ``(N, columns)``; rows with scores are sorted by descending score.

    Raises:
        InputError: the text is not in this format; the message names ``file`` and the line.

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
    """Write ``event/image.txt`` for each image: name, number of rows, rows ``x y w h score`` by descending score.

    Widths and heights are written as given: w = x2 - x1, without adding 1. Numbers are written with all digits, so the
    file gives the same AP. The folder is created if it is missing.

    Args:
        folder: parent of the event folders.
        predictions: ``event/image`` without suffix → x y w h score, shape ``(N, 5)``.

    Raises:
        InputError: a file cannot be written; the files written before it are complete.
        ValueError: an array has the wrong shape.
    """
    texts = {
        image: f'{image.rsplit("/", 1)[-1]}\n{len(rows)}\n{_lines(image, rows)}' for image, rows in predictions.items()
    }
    for image, text in texts.items():
        # A name may contain bytes that are not UTF-8.
        write_whole(Path(folder, image + SUFFIX), text.encode(errors='surrogateescape'))


def write_dark_face_zip(path: str | os.PathLike, predictions: Mapping[str, np.ndarray]) -> None:
    """Write a DARK FACE submission: a zip with one ``image.txt`` per image, rows ``x1 y1 x2 y2 score``, no count.

    The same predictions give the same bytes. An existing zip is replaced atomically after writing. An image without
    detections gets an empty file.

    Args:
        path: path of the zip; its folder is created if it is missing.
        predictions: image without suffix → x1 y1 x2 y2 score, shape ``(N, 5)``.

    Raises:
        InputError: the zip cannot be written.
        ValueError: an array has the wrong shape.
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
    if unknown and is_prediction:  # label folders may contain other text files, and a list may select only some labels
        problems.append(
            f'{len(unknown)} of {len(keys)} files belong to no image of the ground truth, the first is {unknown[0]}; '
            'they are left out'
        )
    return boxes, problems


def _lines(image: str, rows: np.ndarray) -> str:
    """The rows as text, sorted by descending score, with all digits."""
    rows = np.asarray(rows, dtype=np.float64)
    if rows.size and (rows.ndim != 2 or rows.shape[1] != 5):
        raise ValueError(f'{image}: the rows should have the shape (N, 5), not {rows.shape}')
    rows = rows.reshape(-1, 5)
    rows = rows[np.argsort(-rows[:, 4], kind='stable')]
    return ''.join(' '.join(map(repr, row)) + '\n' for row in rows.tolist())
