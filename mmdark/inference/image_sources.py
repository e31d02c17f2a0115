"""List and read photographs given as files, folders, patterns, arrays or PIL images."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdark.datasets.image_files import IMAGE_SUFFIXES as FACE_SUFFIXES
from mmdark.datasets.transforms.load_image import read_photo
from mmdark.datasets.transforms.pillow_pixels import bgr_of
from mmdark.errors import InputError
from mmdark.file_limits import glob_once

from .file_kinds import IMAGE, VIDEO, files_below, foreign_format, is_animated, kind_of, literal_start

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (*FACE_SUFFIXES, '.avif', '.gif', '.heic', '.heif', '.jp2', '.pgm', '.ppm')
"""Files in a folder or pattern with these suffixes (any case) are images; for other files the content decides."""
TEXT_SUFFIXES = ('.csv', '.json', '.jsonl', '.log', '.md', '.npy', '.txt', '.xml', '.yaml', '.yml')
"""Files with these suffixes are not images; their content is not read."""
VIDEO_SUFFIXES = (
    '.3gp', '.asf', '.avi', '.flv', '.m2ts', '.m4v', '.mjpeg', '.mjpg', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.mts',
    '.ts', '.vob', '.webm', '.wmv',
)  # fmt: skip
"""Files with these suffixes are videos if their first bytes are inconclusive.

``open_video`` also accepts other suffixes, if FFmpeg can decode the file.
"""

_EXPECTED = 'give a path, a folder, a pattern, an array (BGR uint8), a PIL image, or several of these'


@dataclass(frozen=True, slots=True)
class ImageSource:
    """One photograph that has not been read yet.

    Attributes:
        name: the path as given; ``'array 3'`` if the input at index 3 is an array or a PIL image.
        pixels: the array or the PIL image; None for a file.
    """

    name: str
    pixels: np.ndarray | Image | None = None

    def read(self) -> np.ndarray:
        """Read the pixels: ``(H, W, 3)`` BGR uint8, with the EXIF orientation applied.

        Raises:
            InputError: the image cannot be used; the message does not repeat the name.
        """
        if self.pixels is None:
            return _read_file(self.name)
        if isinstance(self.pixels, np.ndarray):
            return _as_bgr(self.pixels)
        return bgr_of(self.pixels)


def image_sources(inputs: Any, pass_over: Callable[[str], object] = lambda path: None) -> list[ImageSource]:
    """List the photographs without reading them.

    For a folder, the images in it and its subfolders are listed, sorted by path; symbolic links are followed and hidden
    files are skipped. For a pattern (``night/*.jpg``; ``**`` for all subfolders), the matching images are listed. A
    file is an image by its suffix or, if the suffix is not known, by its first bytes. A missing file in a list of
    inputs is listed if it has an image suffix, and reported when it is read; as the only input it is an error.

    Args:
        inputs: a path, a folder, a pattern, an ``(H, W)``, ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA array, an
            ``(N, H, W, 3)`` array, a PIL image, an :class:`ImageSource`, or any iterable of these.
        pass_over: called with the path of each video in a folder or pattern; videos are not listed.

    Raises:
        InputError: an input is a URL, does not exist or has an unsupported type, or a folder or pattern has no image.

    Example:
        >>> [source.name for source in image_sources(np.zeros((2, 4, 4, 3), np.uint8))]
        ['array 0', 'array 1']
    """
    return list(each_source(inputs, pass_over))


def each_source(inputs: Any, pass_over: Callable[[str], object] = lambda path: None) -> Iterator[ImageSource]:
    """As :func:`image_sources`, but lazily, so that a generator of arrays is never in memory as a whole."""
    if isinstance(inputs, (str, os.PathLike)):
        yield from _from_path(os.fspath(inputs), True, pass_over)
        return
    if _is_one(inputs):
        inputs = [inputs]
    for index, one in enumerate(inputs):
        if isinstance(one, (str, os.PathLike)):
            yield from _from_path(os.fspath(one), False, pass_over)
        elif isinstance(one, ImageSource):
            yield one
        elif isinstance(one, np.ndarray) or _is_pil(one):
            yield ImageSource(f'array {index}', one)
        else:
            raise InputError(f'input {index} is of type {type(one).__name__}: {_EXPECTED}')


def _from_path(path: str, alone: bool, pass_over: Callable[[str], object]) -> Iterator[ImageSource]:
    """The photographs of a path, folder or pattern; ``alone``: it is the only input, so it must exist."""
    if '://' in path:
        raise InputError(f'{path}: mmdark does not download; fetch the file first and name its path')
    if os.path.isdir(path):
        names = _images_of(files_below(path), pass_over)
        if not names:
            raise InputError(f'folder {path} holds no image ({", ".join(IMAGE_SUFFIXES)}): name another')
    elif not os.path.exists(path) and glob.has_magic(path):
        names = _images_of(glob_once(literal_start(path)), pass_over)
        if not names:
            raise InputError(f'pattern {path} matches no image; put it into quotes, ** stands for all folders below')
    elif os.path.exists(path) or (has_suffix(path, IMAGE_SUFFIXES) and not alone):
        names = [path]
    else:
        raise InputError(f'{path} does not exist: name an image, a folder or a pattern')
    yield from map(ImageSource, names)


def _images_of(paths: Iterable[str], pass_over: Callable[[str], object]) -> list[str]:
    """Select the images and sort them; a damaged file with an image suffix is kept and reported when it is read."""
    images, videos = [], []
    for path in paths:
        if not os.path.basename(path).startswith('.') and not has_suffix(path, TEXT_SUFFIXES):
            kind = IMAGE if has_suffix(path, IMAGE_SUFFIXES) else kind_of(path)
            if kind == IMAGE:
                images.append(path)
            elif kind == VIDEO or has_suffix(path, VIDEO_SUFFIXES):
                videos.append(path)
    for path in sorted(videos):
        pass_over(path)
    return sorted(images)


def has_suffix(path: str | os.PathLike, suffixes: Sequence[str]) -> bool:
    """Whether the suffix of a path is one of these, ignoring case."""
    return os.path.splitext(path)[1].lower() in suffixes


def _is_one(inputs: object) -> bool:
    """Whether the input is a single one, not several photographs."""
    if isinstance(inputs, np.ndarray):
        return inputs.ndim != 4
    return isinstance(inputs, ImageSource) or _is_pil(inputs) or not isinstance(inputs, Iterable)


def _is_pil(value: object) -> bool:
    return type(value).__module__.startswith('PIL.')


def _read_file(path: str) -> np.ndarray:
    try:
        pixels, damage = read_photo(path)
    except InputError as error:
        # remove the file name and the advice about annotations
        reason = str(error).removeprefix(f'image {path} ').rpartition(': ')[0]
        raise InputError(foreign_format(path) or reason.removeprefix('is ')) from None
    if is_animated(path):
        print(f'{path} is animated: only its first picture is used', file=sys.stderr)
    if damage:
        print(f'{path} is damaged inside ({damage}): detections on it may be wrong or missing', file=sys.stderr)
    return pixels


def _as_bgr(array: np.ndarray) -> np.ndarray:
    """Repeat grey, drop alpha and keep the upper 8 bits of 16-bit values, as LoadPhoto does for files."""
    if array.dtype not in (np.uint8, np.uint16):
        raise InputError(f'an array of {array.dtype}: give uint8, 0 to 255')
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise InputError(f'an array of shape {array.shape}: give (H, W), (H, W, 3) or (H, W, 4)')
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    return np.ascontiguousarray(array[..., :3] if array.shape[2] > 1 else np.repeat(array, 3, axis=2))
