"""Photographs in whatever form a person has them: files, folders, patterns, arrays, PIL images."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdark.datasets.transforms.load_image import read_photo
from mmdark.datasets.transforms.pillow_pixels import bgr_of
from mmdark.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp')
"""What is taken for an image in a folder or a pattern, upper case too."""

_EXPECTED = 'give a path, a folder, a pattern, an array (BGR uint8), a PIL image, or several of these'


@dataclass(frozen=True)
class ImageSource:
    """One photograph that has not been read yet.

    Attributes:
        name: the path as given; ``'array 3'`` for what has none and stands fourth.
        pixels: the array or the PIL image; None for a file.
    """

    name: str
    pixels: np.ndarray | Image | None = None

    def read(self) -> np.ndarray:
        """Its pixels: ``(H, W, 3)`` BGR uint8, upright as a viewer shows it.

        Raises:
            InputError: it cannot be used; the line says why and does not repeat the name.
        """
        if self.pixels is None:
            return _read_file(self.name)
        if isinstance(self.pixels, np.ndarray):
            return _as_bgr(self.pixels)
        return bgr_of(self.pixels)


def image_sources(inputs: Any) -> list[ImageSource]:
    """Find the photographs; none is read.

    A folder gives the images in it and below it, sorted by path, hidden ones left out; a pattern (``night/*.jpg``,
    ``**`` for all folders below) what matches it and is an image by its name. A file that is named in a list but does
    not exist is listed, so that it is reported beside the others; one that is named alone is an error.

    Args:
        inputs: a path, a folder, a pattern, an ``(H, W)``, ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA array, an
            ``(N, H, W, 3)`` array, a PIL image, an :class:`ImageSource`, or any iterable of these.

    Raises:
        InputError: an input is a URL or of no such kind; a folder or a pattern has no image.

    Example:
        >>> [source.name for source in image_sources(np.zeros((2, 4, 4, 3), np.uint8))]
        ['array 0', 'array 1']
    """
    return list(each_source(inputs))


def each_source(inputs: Any) -> Iterator[ImageSource]:
    """As :func:`image_sources`, one at a time, so that a generator of arrays is never held as a whole."""
    if isinstance(inputs, (str, os.PathLike)):
        yield from _from_path(os.fspath(inputs), alone=True)
        return
    if _is_one(inputs):
        inputs = [inputs]
    for index, one in enumerate(inputs):
        if isinstance(one, (str, os.PathLike)):
            yield from _from_path(os.fspath(one), alone=False)
        elif isinstance(one, ImageSource):
            yield one
        elif isinstance(one, np.ndarray) or _is_pil(one):
            yield ImageSource(f'array {index}', one)
        else:
            raise InputError(f'input {index} is of type {type(one).__name__}: {_EXPECTED}')


def _from_path(path: str, alone: bool) -> Iterator[ImageSource]:
    """The photographs that a path, a folder or a pattern means."""
    if '://' in path:
        raise InputError(f'{path}: mmdark does not download; fetch the file first and name its path')
    if os.path.isdir(path):
        names = list(_images_below(path))
        if not names:
            raise InputError(f'folder {path} holds no image ({", ".join(IMAGE_SUFFIXES)}): name another')
    elif not os.path.exists(path) and glob.has_magic(path):
        names = sorted(name for name in glob.iglob(path, recursive=True) if _is_image(name))
        if not names:
            raise InputError(f'pattern {path} matches no image; put it into quotes, ** stands for all folders below')
    elif os.path.exists(path) or (_is_image(path) and not alone):
        names = [path]
    else:
        raise InputError(f'{path} does not exist: name an image, a folder or a pattern')
    yield from map(ImageSource, names)


def _images_below(folder: str) -> Iterator[str]:
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith('.')]
        found += [os.path.join(root, name) for name in files if _is_image(name)]
    yield from sorted(found)


def _is_image(path: str) -> bool:
    return Path(path).suffix.lower() in IMAGE_SUFFIXES and not Path(path).name.startswith('.')


def _is_one(inputs: object) -> bool:
    """Whether this is a single photograph (or nothing known), not several."""
    if isinstance(inputs, np.ndarray):
        return inputs.ndim != 4
    return isinstance(inputs, ImageSource) or _is_pil(inputs) or not isinstance(inputs, Iterable)


def _is_pil(value: object) -> bool:
    return type(value).__module__.startswith('PIL.')


def _read_file(path: str) -> np.ndarray:
    try:
        pixels, damage = read_photo(path)
    except InputError as error:
        # read_photo names the file first and ends with what to do about an annotation, of which there is none here.
        reason = str(error).removeprefix(f'image {path} ').rpartition(': ')[0]
        raise InputError(reason.removeprefix('is ')) from None
    if damage:
        print(f'{path} is damaged inside ({damage}): what is found on it may be wrong, or missing', file=sys.stderr)
    return pixels


def _as_bgr(array: np.ndarray) -> np.ndarray:
    """Grey repeated, alpha dropped, 16-bit values brought to their upper 8 bits, as LoadPhoto does with files."""
    if array.dtype not in (np.uint8, np.uint16):
        raise InputError(f'an array of {array.dtype}: give uint8, 0 to 255')
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise InputError(f'an array of shape {array.shape}: give (H, W), (H, W, 3) or (H, W, 4)')
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    return np.ascontiguousarray(array[..., :3] if array.shape[2] > 1 else np.repeat(array, 3, axis=2))
