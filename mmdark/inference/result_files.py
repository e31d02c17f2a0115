"""Write the result files of a run: JSON, CSV, and the formats of YOLO, WIDER FACE and COCO; each atomically."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmdark.drawing import FACE
from mmdark.errors import InputError, shown
from mmdark.evaluation.prediction_files import write_wider_predictions
from mmdark.file_limits import endless, parse_json
from mmdark.whole_file import write_whole, writing

from .json_lines import JsonLines, Line
from .result import BrokenImage, DetectionResult, key_of
from .result_lists import RESULTS, Kept, kept_lines, line_of, write_lists
from .shares import WHOLE, Share

FORMATS = ('json', 'csv', 'yolo', 'wider', 'coco', 'pictures')
FOLDERS = {'pictures': 'pictures', 'yolo': 'labels', 'wider': 'wider'}
"""Format → the folder with one file per photograph."""
MOST_BYTES = 256 << 20
"""Maximum size of a ``results.json`` to read: about a million photographs. Reading needs ten times as much memory."""
MAX_JPEG = 65500
"""Maximum width and height of a JPEG in pixels; a larger picture is written as PNG."""


class ResultFiles:
    """Write the result files of one run to one folder.

    ==========  ======================================================================================
    json        ``results.json``, see :meth:`close`
    csv         ``results.csv``: ``source,x1,y1,x2,y2,score``, one row per object; with several classes also
                ``label,class_name``
    yolo        ``labels/NAME.txt``: ``label cx cy w h score``, one row per object, relative to the image
                size; with several classes also ``classes.txt``, the class names
    wider       ``wider/EVENT/NAME.txt`` for the official evaluation; x y w h in pixels; one class only
    coco        ``coco_images.json`` (images, categories) and ``coco_results.json`` for ``COCO.loadRes``
    pictures    ``pictures/NAME.jpg``
    ==========  ======================================================================================

    Each photograph appends one line to ``results.jsonl`` when it is added. The lists of all photographs are made from
    these lines, so a run can be resumed however it ended.

    Args:
        folder: output folder, created if missing; files with the same names are replaced.
        formats: a subset of :data:`FORMATS`.
        about: additional entries of ``results.json``, such as the model and the weights.
        draw: function that draws the objects on a BGR image; only needed for ``pictures``.
        class_names: class names of the detector.
        settings: settings that must be equal when the run is resumed, in addition to the classes and the formats.
        resume: keep the photographs that are already in ``results.jsonl``.
        share: the share of the photographs that this run processes; a share of several gets no lists.

    Attributes:
        kept: number of photographs kept from an earlier run.

    Raises:
        InputError: a format is unknown or does not support several classes, the folder cannot be created, or it
            contains results with other settings.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        formats: Collection[str],
        about: Mapping[str, Any] | None = None,
        draw: Callable[[np.ndarray, DetectionResult], np.ndarray] | None = None,
        class_names: Sequence[str] = FACE,
        settings: Mapping[str, Any] | None = None,
        resume: bool = False,
        share: Share = WHOLE,
    ) -> None:
        if unknown := set(formats) - set(FORMATS):
            raise InputError(f'there is no format {", ".join(sorted(unknown))}: choose from {", ".join(FORMATS)}')
        if 'pictures' in formats and draw is None:
            raise InputError('pictures need a function that draws them: give draw=picture_of')
        if 'wider' in formats and len(class_names) != 1:
            raise InputError('the files of WIDER FACE hold one class: take json, csv, yolo or coco')
        self.class_names = tuple(class_names)
        self.folder, self.formats, self.about, self.draw = Path(folder), set(formats), dict(about or {}), draw
        self.share = share
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        header = dict(settings or {}, classes=list(self.class_names), formats=sorted(self.formats), about=self.about)
        path, batch_size = share.lines_path(self.folder), share.batch_size
        self._lines = JsonLines(path, header, 'photograph', share.number_of, batch_size, overwrite=not resume)
        self.kept = self._lines.kept

    def lines(self) -> Iterator[Kept]:
        """Read the photographs added so far, one in memory at a time."""
        return islice(kept_lines(self._lines.path, self.class_names), self._lines.count)

    def add(self, name: str, result: DetectionResult, image: np.ndarray | None = None) -> None:
        """Write the files of one photograph, then its line.

        Args:
            name: path below the folder, without suffix; see :func:`mmdark.inference.output_names.output_names`.
            result: the objects of the photograph.
            image: the photograph as BGR; only needed for ``pictures``.
        """
        picture = None
        if 'pictures' in self.formats:
            drawn = self.draw(image, result)
            picture = f'pictures/{name}{picture_suffix(drawn)}'
            write_picture(self.folder / picture, drawn)
        if 'yolo' in self.formats:
            write_whole(self.folder / f'labels/{name}.txt', _yolo(result).encode())
        if 'wider' in self.formats:
            write_wider_predictions(self.folder / 'wider', {name: _xywh(result)})
        self._append(line_of(name, result, picture))

    def add_broken(self, broken: BrokenImage, name: str = '') -> None:
        """Write the line of a photograph that could not be read."""
        self._append(line_of(name, broken))

    def close(self, complete: bool = True) -> list[Path]:
        """Write the lists of all photographs; the lists of several shares are written by :mod:`mmdark.inference.merge`.

        ``results.json`` contains ``mmdark`` (the version), the entries of ``about``, ``complete``, ``images`` (a list
        of ``source``, ``name``, ``width``, ``height``, ``faces`` with ``bbox`` as x1, y1, x2, y2 and ``score``, and, if
        drawn, ``picture``, a path relative to the file) and ``broken`` (a list of ``source`` and ``reason``). If the
        detector is not a face detector, the file also contains ``classes``, the names in the order of the labels, and
        ``objects`` instead of ``faces``; with several classes each object has a ``label`` and a ``class_name``.

        Args:
            complete: whether all photographs are done.

        Returns:
            Paths of the result files and folders.
        """
        if complete:
            self._lines.finish()
        self._lines.close()
        if not (complete or self._lines.count):  # do not replace the results of an earlier run
            return []
        if self.share.parts > 1:
            places = [self._lines.path]
        else:
            places = write_lists(self.folder, self.formats, self.lines, self.about, self.class_names, complete)
        folders = [self.folder / name for kind, name in FOLDERS.items() if kind in self.formats]
        return places + [folder for folder in folders if folder.is_dir()]

    def _append(self, line: Line) -> None:
        self._lines.append(self.share.number_of(self._lines.count), line)


def picture_suffix(picture: np.ndarray) -> str:
    """``'.jpg'``, or ``'.png'`` if the picture ``(H, W, 3)`` is too large for JPEG."""
    return '.jpg' if max(picture.shape) <= MAX_JPEG else '.png'


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture, ``(H, W, 3)`` BGR uint8, atomically; the suffix of ``path`` selects JPEG or PNG."""
    if picture_suffix(picture) == '.png' and path.suffix.lower() != '.png':
        raise InputError(f'{path}: JPEG takes at most {MAX_JPEG} pixels a side; name it *.png')
    write_whole(path, cv2.imencode(path.suffix, picture)[1].tobytes())


def read_results(path: str | os.PathLike) -> tuple[list[DetectionResult], list[BrokenImage], dict[str, Any]]:
    """Read a ``results.json``, given by its path or its folder.

    Returns:
        The results of the photographs, the photographs that could not be read, and a dict of all other entries of the
        file. The dict also has ``names`` and ``pictures``, two lists in the order of the results.

    Raises:
        InputError: the file does not exist, was not written by mmdark, or is larger than :data:`MOST_BYTES`.
    """
    path = Path(path) / RESULTS if Path(path).is_dir() else Path(path)
    if kind := endless(path):
        raise InputError(f'{path} is {kind}, not a file: name a folder that mmdark detect wrote')
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise InputError(
            f'{path} has {path.stat().st_size >> 20} MB, and {MOST_BYTES >> 20} are the most that is read at once: '
            'call mmdark detect on a part of the photographs, or read results.jsonl, a line for each'
        )
    try:
        about = parse_json(path.read_text(encoding='utf-8-sig'))
        images, broken = about.pop('images'), about.pop('broken')
        names = tuple(map(str, about.get('classes', FACE)))
        found = [_result_of(entry, names) for entry in images]
        float(about.get('score_thr', 0.0))
        about |= dict(names=[_text(entry['name']) for entry in images])
        about |= dict(pictures=[_text(entry['picture']) if 'picture' in entry else None for entry in images])
        return found, [BrokenImage(_text(entry['source']), _text(entry['reason'])) for entry in broken], about
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}): name a folder that mmdark detect wrote') from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f'{path} is no results.json of mmdark detect ({type(error).__name__}: {str(error)[:80]}): write it again'
        ) from None


def _result_of(entry: Mapping[str, Any], class_names: tuple[str, ...]) -> DetectionResult:
    width, height, objects = int(entry['width']), int(entry['height']), entry[key_of(class_names)]
    result = DetectionResult.from_dicts(objects, width, height, _text(entry['source']), class_names)
    if min(width, height) < 1:
        raise ValueError(f'{shown(result.source)} has {width} by {height} pixels')
    if len(result.boxes) != len(objects) or not np.isfinite(np.column_stack([result.boxes, result.scores])).all():
        raise ValueError(f'an object of {shown(result.source)} has no box and score in numbers')
    return result


def _text(value: object) -> str:
    if not isinstance(value, str) or '\0' in value:
        raise TypeError(f'{shown(value)} is no text')
    return value


def _xywh(result: DetectionResult) -> np.ndarray:
    corners = result.boxes.astype(np.float64)
    return np.column_stack([corners[:, :2], corners[:, 2:] - corners[:, :2], result.scores])


def _yolo(result: DetectionResult) -> str:
    """Lines in Ultralytics' format: class, centre, width and height relative to the image size, confidence."""
    rows = _xywh(result)
    rows[:, :2] += rows[:, 2:4] / 2
    rows[:, :4] /= [result.width, result.height, result.width, result.height]
    lines = zip(result.labels.tolist(), rows, strict=True)
    return ''.join(f'{label} ' + ' '.join(f'{value:.6f}' for value in row) + '\n' for label, row in lines)
