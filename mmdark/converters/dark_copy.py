"""Write a reproducible dark copy of a data set, with a record of the DarkISP parameters of each image."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from mmdark.dark_isp import ISPParameters
from mmdark.datasets.image_files import IMAGE_SUFFIXES, is_image
from mmdark.datasets.transforms import DarkISP, LoadPhoto
from mmdark.errors import InputError
from mmdark.file_limits import parse_json, refuse_endless, walk_once
from mmdark.whole_file import PART, write_whole

RECORD = 'dark_isp.json'
"""Name of the file with the settings and the parameters of each image."""

FORMATS = {'png': ('.png',), 'jpg': ('.jpg', '.jpeg')}
"""Format of the dark images → source suffixes (in lower case) that are kept; others become the first one."""

_HOW = (
    'DarkISP(preset, seed, keep_light=False) of mmdark on the source image, then rounded to 8 bits. The generator of '
    'each image is torch.Generator().manual_seed(zlib.crc32("<seed>:<file name of source>")); it gives the parameters '
    'below and then the noise for the size of the image.'
)
# Chroma subsampling would smooth the noise.
_FULL_COLOUR = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
_TEXT_SUFFIXES = ('.txt', '.csv', '.lst')
_SEPARATORS = re.compile(r'[\s,;"\'<>]+')
_IMAGE_END = re.compile(rf'(?:{"|".join(map(re.escape, IMAGE_SUFFIXES))})(?=[\s,;"\'<>]|\Z)', re.IGNORECASE)
_LONGEST_NAME = 255  # characters of a file name


class DarkSettings(NamedTuple):
    """Settings that determine the bytes of a dark copy: DarkISP preset and seed, image format, JPEG quality."""

    preset: str = 'corrected'
    seed: int = 0
    format: str = 'png'
    quality: int = 95

    def as_record(self) -> dict[str, Any]:
        """The settings as written to the record; ``quality`` is omitted for PNG."""
        record = self._asdict()
        return record if self.format == 'jpg' else {key: record[key] for key in ('preset', 'seed', 'format')}


class DarkCopy(NamedTuple):
    """Number of dark images, how many existed before, number of other files, and one message per unreadable image."""

    images: int
    kept: int
    others: int
    broken: list[str]


def darken_folder(source: Path, out: Path, settings: DarkSettings, workers: int | None = None) -> DarkCopy:
    """Write a dark copy of a data set: WIDER FACE, DARK FACE, ExDark, COCO, VOC, YOLO, or a plain folder of images.

    Each image is darkened by ``DarkISP(preset, seed=seed, keep_light=False)``, as in a test pipeline, and rounded to
    8 bits. All other files are copied; image names in text annotations and COCO files get the new suffix. An image with
    a VOC file (``a.xml``) keeps its name in either format, because mmdet's ``XMLDataset`` only reads ``<id>.jpg``. With
    PNG, ``a.jpg`` is then a PNG file, which OpenCV and Pillow can read.

    Images that already exist in ``out`` are kept, so an interrupted copy can be continued.

    Args:
        source: folder of the data set.
        out: folder of the copy. It must be new, empty, or a copy with the same settings, which may be unfinished.
        settings: preset, seed, image format and JPEG quality.
        workers: number of threads; one per core by default. It does not change the result.

    Raises:
        InputError: the settings or folders are invalid, or two images would get the same name.
    """
    if not 1 <= settings.quality <= 100:
        raise InputError(f'--quality {settings.quality}: give 1 to 100')
    if workers is not None and workers < 1:
        raise InputError(f'--workers {workers}: give 1 or more')
    _check_folders(source, out)
    files = files_below(source)
    if RECORD in files:
        raise InputError(f'{source} is a dark copy already (it holds {RECORD}): name the light data set')
    targets = dark_names(files, settings.format)
    if not targets:
        raise InputError(f'{source} holds no image ({", ".join(IMAGE_SUFFIXES)}): name the folder of a data set')
    _begin(out, settings)
    kept = sum((out / target).is_file() for target in targets.values())
    names = {PurePosixPath(old).name: PurePosixPath(new).name for old, new in targets.items()}
    renamed = {old: new for old, new in names.items() if old != new}
    others = [name for name in files if name not in targets]
    for name in others:
        write_whole(out / name, renamed_annotation(name, content_of(source / name), renamed))
    record, broken = {}, []
    darken = partial(_darken_file, source, out, settings)
    for (old, new), result in _in_threads(darken, list(targets.items()), workers):
        if isinstance(result, InputError):
            broken.append(str(result))
        else:
            record[new] = {'source': old, **result}
    _write_record(out, settings, record)
    return DarkCopy(len(record), kept, len(others), broken)


def darkened(
    image: np.ndarray, path: str | Path, settings: DarkSettings | None = None
) -> tuple[np.ndarray, ISPParameters]:
    """Darken an ``(H, W, 3)`` BGR uint8 image like :func:`darken_folder`; the file name seeds the random numbers."""
    settings = settings or DarkSettings()
    step = DarkISP(settings.preset, seed=settings.seed, keep_light=False)
    parameters, noise = step.sample({'img': image, 'img_path': str(path)})
    return np.rint(step.apply(image, parameters, noise)).clip(0, 255).astype(np.uint8), parameters


def files_below(folder: Path) -> list[str]:
    """Sorted paths of all files below a folder, relative to it, with ``/``; linked folders are visited once."""
    paths = (Path(here, name) for here, _, names in walk_once(folder) for name in names)
    return sorted(
        path.relative_to(folder).as_posix()
        for path in paths
        if not path.name.endswith(PART) and not path.name.startswith('._')
    )


def content_of(path: Path) -> bytes:
    """The content of a file to copy.

    Raises:
        InputError: the file cannot be read, or is a pipe or a device.
    """
    try:
        refuse_endless(path)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}): mend it, or take it out of the data set') from None


def dark_names(files: Sequence[str], image_format: str) -> dict[str, str]:
    """Map the name of each image to the name of its dark copy.

    Raises:
        InputError: two images of one folder would get the same name.

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


def renamed_annotation(name: str, content: bytes, renamed: Mapping[str, str]) -> bytes:
    """Replace the image names in the content of an annotation file.

    In ``.txt``, ``.csv`` and ``.lst`` files, every image name is replaced; in ``.json`` files, ``images[*].file_name``.
    Other files are returned unchanged.

    Args:
        name: name of the annotation file.
        content: bytes of the file.
        renamed: old file name → new file name, without folders.

    Example:
        >>> renamed_annotation('list.txt', b'in/a b.jpg 1 2 3 4 5 1', {'a b.jpg': 'a b.png'})
        b'in/a b.png 1 2 3 4 5 1'
    """
    suffix = PurePosixPath(name).suffix.lower()
    if renamed and suffix == '.json':
        return _renamed_coco(content, renamed)
    if not renamed or suffix not in _TEXT_SUFFIXES:
        return content
    text = content.decode('utf-8', 'surrogateescape')
    written, done = [], 0
    for match in _IMAGE_END.finditer(text):
        start = max(done, match.end() - _LONGEST_NAME)
        start = max(start, *(text.rfind(end, start, match.end()) + 1 for end in '/\\\r\n'))
        written += [text[done:start], _new_name(renamed, text[start : match.end()])]
        done = match.end()
    return ''.join([*written, text[done:]]).encode('utf-8', 'surrogateescape')


def _new_name(renamed: Mapping[str, str], text: str) -> str:
    """Replace the image name at the end of ``text``; names may contain spaces, so the longest match is used."""
    for start in (0, *(separator.end() for separator in _SEPARATORS.finditer(text))):
        if text[start:] in renamed:
            return text[:start] + renamed[text[start:]]
    return text


def _renamed_coco(content: bytes, renamed: Mapping[str, str]) -> bytes:
    """Replace the image names in a COCO file; other JSON is returned unchanged."""
    try:
        document = parse_json(content)
        old = [str(image['file_name']) for image in document['images']]
    except (ValueError, KeyError, TypeError, RecursionError):
        return content
    for image, name in zip(document['images'], old, strict=True):
        folder, slash, last = name.rpartition('/')
        image['file_name'] = f'{folder}{slash}{renamed.get(last, last)}'
    return json.dumps(document).encode()


def _check_folders(source: Path, out: Path) -> None:
    if not source.is_dir():
        raise InputError(f'{source} is not a folder: name the folder of a data set')
    first, second = source.resolve(), out.resolve()
    if first == second or first in second.parents or second in first.parents:
        raise InputError(f'--out {out} and {source} contain each other: choose a folder beside the data set')


def _begin(out: Path, settings: DarkSettings) -> None:
    """Write an empty record, or check that an existing one has the same settings."""
    path = out / RECORD
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f'--out {out} exists and is not a dark copy: choose a new or an empty folder')
        _write_record(out, settings, {})
        return
    try:
        recorded = parse_json(path.read_text(encoding='utf-8'))['settings']
    except (ValueError, KeyError, TypeError):
        raise InputError(f'{path} is broken: delete {out} and run again') from None
    if recorded != settings.as_record():
        raise InputError(
            f'{out} was made with other settings ({recorded}): give these, choose another --out or delete it'
        )


def _write_record(out: Path, settings: DarkSettings, images: Mapping[str, dict]) -> None:
    record = {'settings': settings.as_record(), 'how': _HOW, 'torch': torch.__version__, 'images': images}
    write_whole(out / RECORD, (json.dumps(record, indent=1) + '\n').encode())


def _darken_file(source: Path, out: Path, settings: DarkSettings, names: tuple[str, str]) -> dict[str, float | int]:
    """Darken one image unless its dark copy exists, and return its parameters."""
    path, target = source / names[0], out / names[1]
    if target.is_file():  # the parameters depend on the file name only
        parameters = darkened(np.zeros((1, 1, 3), np.uint8), path, settings)[1]
    else:
        dark, parameters = darkened(LoadPhoto()({'img_path': str(path)})['img'], path, settings)
        options = [] if settings.format == 'png' else [cv2.IMWRITE_JPEG_QUALITY, settings.quality, *_FULL_COLOUR]
        _, content = cv2.imencode(FORMATS[settings.format][0], dark, options)
        write_whole(target, content.tobytes())
    return {name: value.item() for name, value in asdict(parameters).items()}


def _in_threads(
    function: Callable[[Any], Any], tasks: Sequence[Any], workers: int | None
) -> Iterator[tuple[Any, Any | InputError]]:
    """Yield each task with its result or its InputError, in order, and show a progress bar on stderr.

    torch is limited to one thread per worker, because the result of a vectorised power may depend on how its threads
    divide the image.
    """

    def guarded(task: Any) -> Any | InputError:
        try:
            return function(task)
        except InputError as error:
            return error

    with ThreadPoolExecutor(workers or os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        results = pool.map(guarded, tasks)
        progress = track(results, 'darken', len(tasks), console=Console(stderr=True))
        yield from zip(tasks, progress, strict=True)
