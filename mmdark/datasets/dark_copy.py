"""A dark copy of a whole data set, the same for everyone, with the parameters of each darkening beside it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from mmdark.dark_isp import PRESETS, ISPParameters
from mmdark.datasets.face_formats import IMAGE_SUFFIXES, is_image
from mmdark.datasets.folder_copy import check_folders, content_of, files_below, run_over
from mmdark.datasets.transforms import DarkISP, LoadPhoto
from mmdark.errors import InputError
from mmdark.file_limits import parse_json
from mmdark.whole_file import write_whole

RECORD = 'dark_isp.json'
"""Name of the file with the settings and the parameters of each image."""

FORMATS = {'png': ('.png',), 'jpg': ('.jpg', '.jpeg')}
"""What the dark images are written as, and the suffixes (in lower case) that already say so."""

_HOW = (
    'DarkISP(preset, seed, keep_light=False) of mmdark on the source image, then rounded to 8 bits. The generator of '
    'each image is torch.Generator().manual_seed(zlib.crc32("<seed>:<file name of source>")); it gives the parameters '
    'below and then the noise for the size of the image.'
)
_FULL_COLOUR = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)  # or its noise is smoothed
_TEXT_SUFFIXES = ('.txt', '.csv', '.lst')
_SEPARATORS = re.compile(r'[\s,;"\'<>]+')
_IMAGE_END = re.compile(rf'(?:{"|".join(map(re.escape, IMAGE_SUFFIXES))})(?=[\s,;"\'<>]|\Z)', re.IGNORECASE)
_LONGEST_NAME = 255
"""Characters of a file's name."""


class DarkSettings(NamedTuple):
    """What decides the bytes of a dark copy: preset and seed of DarkISP, format of the images, quality of a JPEG."""

    preset: str = 'corrected'
    seed: int = 0
    format: str = 'png'
    quality: int = 95

    def as_record(self) -> dict[str, Any]:
        """As the record keeps them; a PNG has no quality."""
        record = self._asdict()
        return record if self.format == 'jpg' else {key: record[key] for key in ('preset', 'seed', 'format')}


class DarkCopy(NamedTuple):
    """What was done: dark images in all, those found there already, other files, and a line for each broken image."""

    images: int
    kept: int
    others: int
    broken: list[str]


def darken_folder(
    source: str | Path, out: str | Path, settings: DarkSettings | None = None, workers: int | None = None
) -> DarkCopy:
    """Write a dark copy of a data set: WIDER FACE, DARK FACE, ExDark, COCO, VOC, YOLO, or a plain folder of images.

    Each image becomes what ``DarkISP(preset, seed=seed, keep_light=False)`` makes of it in a test pipeline, a function
    of the seed and the file's name alone, rounded to 8 bits. All other files are copied. Where the suffix of an image
    changes (``a.jpg`` to ``a.png``), text annotations and COCO files name the new one. An image with a VOC file
    (``a.xml``) keeps its name whatever the format, because mmdet's ``XMLDataset`` reads ``<id>.jpg`` alone: it is then
    a PNG under the name ``a.jpg``. OpenCV and Pillow go by content and read it.

    An image that is there already is kept, so a copy that was broken off goes on. Any number of workers gives the
    same bytes.

    Args:
        source: folder of the data set.
        out: folder of the copy: new, empty, or an unfinished copy with the same settings.
        settings: preset, seed and format; by default the fixed-seed darkness of the main config's validation, as PNG.
        workers: number of processes; by default one a core.

    Raises:
        InputError: the settings are senseless or not those that ``out`` was begun with, the folders cannot be used, or
            two images would get one name.
    """
    source, out, settings = Path(source), Path(out), settings or DarkSettings()
    _check_settings(settings)
    check_folders(source, out)
    files = files_below(source)
    if RECORD in files:
        raise InputError(f'{source} is a dark copy already ({RECORD} lies in it): name the light data set')
    targets = dark_names(files, settings.format)
    if not targets:
        raise InputError(f'{source} holds no image ({", ".join(IMAGE_SUFFIXES)}): name the folder of a data set')
    _begin(out, settings)
    kept = sum((out / target).is_file() for target in targets.values())
    renamed = {PurePosixPath(old).name: PurePosixPath(new).name for old, new in targets.items()}
    renamed = {old: new for old, new in renamed.items() if old != new}
    others = [name for name in files if name not in targets]
    for name in others:
        write_whole(out / name, renamed_annotation(name, content_of(source / name), renamed))
    record, broken = {}, []
    darken = partial(_darken_file, source, out, settings)
    for (old, new), result in run_over(darken, list(targets.items()), workers, 'darken'):
        if isinstance(result, InputError):
            broken.append(str(result))
        else:
            record[new] = {'source': old, **result}
    _write_record(out, settings, record)
    return DarkCopy(len(record), kept, len(others), broken)


def darkened(
    image: np.ndarray, path: str | Path, settings: DarkSettings | None = None
) -> tuple[np.ndarray, ISPParameters]:
    """An image as :func:`darken_folder` makes it dark, and the parameters.

    Args:
        image: ``(H, W, 3)`` BGR uint8.
        path: of its file, whose name decides the darkness.
        settings: preset and seed.
    """
    settings = settings or DarkSettings()
    step = DarkISP(settings.preset, seed=settings.seed, keep_light=False)
    parameters, noise = step.sample({'img': image, 'img_path': str(path)})
    return np.rint(step.apply(image, parameters, noise)).clip(0, 255).astype(np.uint8), parameters


def dark_names(files: list[str], image_format: str) -> dict[str, str]:
    """The name of each image's dark copy.

    Args:
        files: all files of the data set, relative to it.
        image_format: of :data:`FORMATS`.

    Raises:
        InputError: two images of one folder would get one name.

    Example:
        >>> dark_names(['a.jpg', 'b.png', 'c.jpg', 'c.xml'], 'png')
        {'a.jpg': 'a.png', 'b.png': 'b.png', 'c.jpg': 'c.jpg'}
    """
    with_xml = {PurePosixPath(name).stem for name in files if name.lower().endswith('.xml')}
    targets: dict[str, str] = {}
    origins: dict[str, str] = {}
    for name in filter(is_image, files):
        path = PurePosixPath(name)
        keep = path.suffix.lower() in FORMATS[image_format] or path.stem in with_xml
        targets[name] = name if keep else str(path.with_suffix(FORMATS[image_format][0]))
        other = origins.setdefault(targets[name], name)
        if other != name:
            raise InputError(f'{other} and {name} would both become {targets[name]}: rename one of them')
    return targets


def renamed_annotation(name: str, content: bytes, renamed: dict[str, str]) -> bytes:
    """The content of a file that is no image, naming the images by their new names.

    ``.txt``, ``.csv`` and ``.lst`` files are searched for image names; of ``.json`` files, ``images[*].file_name``.
    Everything else, and every other byte, stays as it is.

    Args:
        name: of the file.
        content: its bytes.
        renamed: old file names, without folders, to new ones.

    Example:
        >>> renamed_annotation('list.txt', b'in/a b.jpg 1 2 3 4 5 1', {'a b.jpg': 'a b.png'})
        b'in/a b.png 1 2 3 4 5 1'
    """
    suffix = PurePosixPath(name).suffix.lower()
    if not renamed or suffix not in (*_TEXT_SUFFIXES, '.json'):
        return content
    if suffix == '.json':
        return _renamed_coco(content, renamed)
    text = content.decode('utf-8', 'surrogateescape')
    written, done = [], 0
    for match in _IMAGE_END.finditer(text):
        start = max(done, match.end() - _LONGEST_NAME)
        start = max(start, *(text.rfind(end, start, match.end()) + 1 for end in '/\\\r\n'))
        written += [text[done:start], _new_name(renamed, text[start : match.end()])]
        done = match.end()
    return ''.join([*written, text[done:]]).encode('utf-8', 'surrogateescape')


def _new_name(renamed: dict[str, str], found: str) -> str:
    """``found`` with its longest end that is an image's name replaced: names may hold blanks."""
    for start in (0, *(separator.end() for separator in _SEPARATORS.finditer(found))):
        if found[start:] in renamed:
            return found[:start] + renamed[found[start:]]
    return found


def _renamed_coco(content: bytes, renamed: dict[str, str]) -> bytes:
    """A COCO file with the new names; any other JSON as it is."""
    try:
        document = parse_json(content)
        images = document['images']
        old = [image['file_name'] for image in images]
    except (ValueError, KeyError, TypeError, RecursionError):
        return content
    for image, name in zip(images, old, strict=True):
        folder, slash, last = str(name).rpartition('/')
        image['file_name'] = f'{folder}{slash}{renamed.get(last, last)}'
    return json.dumps(document).encode()


def _check_settings(settings: DarkSettings) -> None:
    """Raise where a setting is senseless."""
    if settings.preset not in PRESETS:
        raise InputError(f'unknown DarkISP preset {settings.preset!r}; choose one of {", ".join(PRESETS)}')
    if settings.format not in FORMATS:
        raise InputError(f'unknown format {settings.format!r}; choose one of {", ".join(FORMATS)}')
    if not 1 <= settings.quality <= 100:
        raise InputError(f'quality {settings.quality}: give 1 to 100')


def _begin(out: Path, settings: DarkSettings) -> None:
    """Write an empty record, or see that the one there has the same settings."""
    path = out / RECORD
    if path.is_file():
        try:
            there = parse_json(path.read_text(encoding='utf-8'))['settings']
        except (ValueError, KeyError, TypeError):
            raise InputError(f'{path} is broken: take {out} away and run again') from None
        if there != settings.as_record():
            raise InputError(
                f'{out} was made with other settings ({there}): give these, choose another --out or take it away'
            )
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f'--out {out} is there and not a dark copy: choose a new or an empty folder')
    _write_record(out, settings, {})


def _write_record(out: Path, settings: DarkSettings, images: dict[str, dict]) -> None:
    """Write ``dark_isp.json``."""
    record = {'settings': settings.as_record(), 'how': _HOW, 'torch': torch.__version__, 'images': images}
    write_whole(out / RECORD, (json.dumps(record, indent=1) + '\n').encode())


def _darken_file(source: Path, out: Path, settings: DarkSettings, names: tuple[str, str]) -> dict[str, float | int]:
    """Darken one image, unless that is done; its parameters."""
    path, target = source / names[0], out / names[1]
    if target.is_file():
        return _plain(darkened(np.zeros((1, 1, 3), np.uint8), path, settings)[1])
    dark, parameters = darkened(LoadPhoto()({'img_path': str(path)})['img'], path, settings)
    options = [] if settings.format == 'png' else [cv2.IMWRITE_JPEG_QUALITY, settings.quality, *_FULL_COLOUR]
    _, content = cv2.imencode(FORMATS[settings.format][0], dark, options)
    write_whole(target, content.tobytes())
    return _plain(parameters)


def _plain(parameters: ISPParameters) -> dict[str, float | int]:
    """The parameters of one image as numbers that give the same float32 again."""
    return {name: value.item() for name, value in asdict(parameters).items()}
