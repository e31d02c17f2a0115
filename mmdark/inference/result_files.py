"""What was found, in files: JSON, CSV, and the formats of YOLO, WIDER FACE and COCO; each whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmdet.evaluation import get_classes

import mmdark
from mmdark.drawing import FACE, name_of
from mmdark.errors import InputError
from mmdark.evaluation.prediction_files import write_wider_predictions
from mmdark.file_limits import parse_json
from mmdark.whole_file import write_whole, writing

from .result import BrokenImage, DetectionResult, key_of

FORMATS = ('json', 'csv', 'yolo', 'wider', 'coco', 'pictures')
"""What can be written."""
RESULTS = 'results.json'
NOT_IN_COCO = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Numbers from 1 to 90 that none of COCO's 80 categories has."""
MAX_JPEG = 65500
"""Pixels of a side; a larger picture is written as PNG."""

Draw = Callable[[np.ndarray, DetectionResult], np.ndarray]
"""From an image, BGR, and its objects to the picture for a person."""


@dataclass(frozen=True)
class _Written:
    name: str
    result: DetectionResult
    picture: str | None


class ResultFiles:
    """The files of one run in one folder.

    What belongs to one photograph is written when it is :meth:`add`-ed, what belongs to all by :meth:`close`.

    ==========  ======================================================================================
    json        ``results.json``, see :meth:`close`
    csv         ``results.csv``: ``source,x1,y1,x2,y2,score``, a row an object; of several classes also
                ``label,class_name``
    yolo        ``labels/NAME.txt``: ``label cx cy w h score``, a row an object, relative to the image; of
                several classes also ``classes.txt``, their names
    wider       ``wider/EVENT/NAME.txt``, as the official evaluation takes it; x y w h in pixels; of one class
    coco        ``coco_images.json`` (images, categories) and ``coco_results.json`` for ``COCO.loadRes``
    pictures    ``pictures/NAME.jpg``
    ==========  ======================================================================================

    Args:
        folder: is made where it is missing; files of the same names are replaced.
        formats: some of :data:`FORMATS`.
        about: what else ``results.json`` says, such as the model and the weights.
        draw: makes a picture; needed for pictures only.
        class_names: of the detector.

    Raises:
        InputError: there is no such format, or none for several classes, or the folder cannot be made.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        formats: Collection[str],
        about: Mapping[str, Any] | None = None,
        draw: Draw | None = None,
        class_names: Sequence[str] = FACE,
    ) -> None:
        if unknown := set(formats) - set(FORMATS):
            raise InputError(f'there is no format {", ".join(sorted(unknown))}: choose from {", ".join(FORMATS)}')
        if 'pictures' in formats and draw is None:
            raise InputError('pictures need a function that draws them: give draw=picture_of')
        if 'wider' in formats and len(class_names) != 1:
            raise InputError('the files of WIDER FACE hold one class: take json, csv, yolo or coco')
        self.class_names = tuple(class_names)
        self.folder, self.formats, self.about, self.draw = Path(folder), set(formats), dict(about or {}), draw
        self.images: list[_Written] = []
        self.broken: list[BrokenImage] = []
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, result: DetectionResult, image: np.ndarray | None = None) -> None:
        """Write what belongs to one photograph, and remember its objects.

        Args:
            name: path below the folder, without suffix; see :func:`mmdark.inference.output_names.output_names`.
            result: its objects.
            image: its pixels, BGR; needed for pictures only.

        Raises:
            InputError: a file cannot be written; what was written before stays.
        """
        picture = None
        if 'pictures' in self.formats:
            picture = self._write_picture(name, self.draw(image, result))
        if 'yolo' in self.formats:
            self._write(f'labels/{name}.txt', _yolo(result).encode())
        if 'wider' in self.formats:
            write_wider_predictions(self.folder / 'wider', {name: _xywh(result)})
        self.images.append(_Written(name, replace(result, reflectance=None, illumination=None), picture))

    def add_broken(self, broken: BrokenImage) -> None:
        """Remember a photograph that could not be read."""
        self.broken.append(broken)

    def close(self, complete: bool = True) -> list[Path]:
        """Write what belongs to all photographs.

        ``results.json`` holds ``mmdark`` (the version), what ``about`` says, ``complete``, ``images`` (a list of
        ``source``, ``name``, ``width``, ``height``, ``faces`` with ``bbox`` as x1, y1, x2, y2 and ``score``, and
        ``picture`` where there is one, relative to the file) and ``broken`` (a list of ``source`` and ``reason``). Of
        another detector it holds ``classes``, their names in the order of the labels, and ``objects`` in place of
        ``faces``; of several classes each with ``label`` and ``class_name``.

        Args:
            complete: whether all photographs were looked at.

        Returns:
            What there is now, files and folders.

        Raises:
            InputError: a file cannot be written; those before it are there.
        """
        makers = {'json': self._json, 'csv': self._csv, 'coco': self._coco, 'yolo': self._classes}
        files = {name: text for kind in makers if kind in self.formats for name, text in makers[kind](complete).items()}
        for name, text in files.items():
            self._write(name, text.encode(errors='backslashreplace'))
        folders = {'pictures': 'pictures', 'yolo': 'labels', 'wider': 'wider'}
        places = [self.folder / name for name in files]
        return places + [self.folder / place for kind, place in folders.items() if kind in self.formats and self.images]

    def _json(self, complete: bool) -> dict[str, str]:
        content = dict(mmdark=mmdark.__version__, **self.about, complete=complete)
        if self.class_names != FACE:
            content['classes'] = self.class_names
        images = [_entry(written) for written in self.images]
        broken = [dict(source=one.source, reason=one.reason) for one in self.broken]
        return {RESULTS: json.dumps(dict(content, images=images, broken=broken), indent=1, ensure_ascii=False) + '\n'}

    def _csv(self, complete: bool) -> dict[str, str]:
        text = io.StringIO(newline='')
        rows = csv.writer(text, lineterminator='\n')
        several = [] if len(self.class_names) == 1 else ['label', 'class_name']
        rows.writerow(['source', 'x1', 'y1', 'x2', 'y2', 'score', *several])
        for written in self.images:
            for one in written.result.to_dicts():
                rows.writerow([written.result.source, *one['bbox'], one['score'], *(one[key] for key in several)])
        return {'results.csv': text.getvalue()}

    def _coco(self, complete: bool) -> dict[str, str]:
        numbered = [(number, written.result) for number, written in enumerate(self.images, 1)]
        images = [dict(id=number, file_name=one.source, width=one.width, height=one.height) for number, one in numbered]
        most = max((int(one.labels.max(initial=0)) for _, one in numbered), default=0)  # where nothing names them
        names = [name_of(label, self.class_names) for label in range(max(len(self.class_names), most + 1))]
        ids = category_ids(names)
        categories = [dict(id=category, name=name) for category, name in zip(ids, names, strict=True)]
        truth = dict(info={}, images=images, annotations=[], categories=categories)
        found = [entry for number, result in numbered for entry in result.to_coco(number, ids)]
        return {
            'coco_images.json': json.dumps(truth, ensure_ascii=False) + '\n',
            'coco_results.json': json.dumps(found) + '\n',
        }

    def _classes(self, complete: bool) -> dict[str, str]:
        return {'classes.txt': ''.join(f'{name}\n' for name in self.class_names)} if len(self.class_names) > 1 else {}

    def _write_picture(self, name: str, picture: np.ndarray) -> str:
        place = f'pictures/{name}{picture_suffix(picture)}'
        write_picture(self.folder / place, picture)
        return place

    def _write(self, name: str, content: bytes) -> None:
        write_whole(self.folder / name, content)


def category_ids(class_names: Sequence[str]) -> list[int]:
    """The numbers of classes in COCO files: for COCO's own 80 the official ones, for others 1, 2 and so on."""
    if list(class_names) == list(get_classes('coco')):
        return [number for number in range(1, 91) if number not in NOT_IN_COCO]
    return list(range(1, len(class_names) + 1))


def picture_suffix(picture: np.ndarray) -> str:
    """``'.jpg'``, or ``'.png'`` for a picture ``(H, W, 3)`` that is too large for JPEG."""
    return '.jpg' if max(picture.shape) <= MAX_JPEG else '.png'


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture, whole or not at all, in the format that its name ends with.

    Args:
        path: ``*.jpg`` or ``*.png``.
        picture: ``(H, W, 3)`` BGR uint8.

    Raises:
        InputError: it is too large for JPEG, or cannot be written.
    """
    if picture_suffix(picture) == '.png' and path.suffix.lower() != '.png':
        raise InputError(f'{path}: JPEG takes at most {MAX_JPEG} pixels a side; name it *.png')
    write_whole(path, cv2.imencode(path.suffix, picture)[1].tobytes())


def read_results(path: str | os.PathLike) -> tuple[list[DetectionResult], list[BrokenImage], dict[str, Any]]:
    """Read ``results.json``, or the folder that holds one.

    Returns:
        The objects of each photograph; the photographs that could not be read; all else that the file says, and under
        ``names`` and ``pictures`` a list each, in the order of the first.

    Raises:
        InputError: there is no such file, or it is none of ours.
    """
    path = Path(path) / RESULTS if Path(path).is_dir() else Path(path)
    try:
        about = parse_json(path.read_text(encoding='utf-8'))
        images, broken = about.pop('images'), about.pop('broken')
        names = tuple(map(str, about.get('classes', FACE)))
        found = [_result_of(entry, names) for entry in images]
        about |= dict(names=[entry['name'] for entry in images], pictures=[entry.get('picture') for entry in images])
        return found, [BrokenImage(entry['source'], entry['reason']) for entry in broken], about
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}): name a folder that mmdark detect wrote') from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f'{path} is no results.json of mmdark detect ({type(error).__name__}: {error}): write it again'
        ) from None


def _result_of(entry: Mapping[str, Any], class_names: tuple[str, ...]) -> DetectionResult:
    size, objects = (int(entry['width']), int(entry['height'])), entry[key_of(class_names)]
    return DetectionResult.from_dicts(objects, *size, str(entry['source']), class_names)


def _entry(written: _Written) -> dict[str, Any]:
    result = written.result
    entry = dict(source=result.source, name=written.name, width=result.width, height=result.height)
    entry[key_of(result.class_names)] = result.to_dicts()
    return entry | (dict(picture=written.picture) if written.picture else {})


def _xywh(result: DetectionResult) -> np.ndarray:
    corners = result.boxes.astype(np.float64)
    return np.column_stack([corners[:, :2], corners[:, 2:] - corners[:, :2], result.scores])


def _yolo(result: DetectionResult) -> str:
    """Ultralytics' lines with confidence: class, centre, width and height relative to the image, score."""
    rows = _xywh(result)
    rows[:, :2] += rows[:, 2:4] / 2
    rows[:, :4] /= [result.width, result.height, result.width, result.height]
    lines = zip(result.labels.tolist(), rows, strict=True)
    return ''.join(f'{label} ' + ' '.join(f'{value:.6f}' for value in row) + '\n' for label, row in lines)
