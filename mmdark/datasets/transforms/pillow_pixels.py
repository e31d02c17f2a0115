"""Pixels and sizes by way of Pillow: of PIL images of every kind, and of the files that OpenCV reads wrongly."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import IO

import cv2
import numpy as np
from PIL import Image, ImageOps

from mmdark.errors import InputError

PNG_START = b'\x89PNG\r\n\x1a\n'
TIFF_STARTS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
MAX_PIXELS = 1 << 30
"""OpenCV's limit; Pillow's is 178.9 million, which photographs of today exceed."""

_WARNED_FROM = 89_000_000
_ORIENTATION, _WIDTH, _HEIGHT = 0x0112, 0x0100, 0x0101
_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How what was turned upright gets back to how it is stored."""
_LIMIT = threading.RLock()


@contextmanager
def any_size() -> Iterator[None]:
    """Without Pillow's limit of pixels, and its warning from half of it on."""
    with _LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an image that was opened and not loaded, its EXIF orientation applied; it stays unloaded."""
    if image.format == 'TIFF':  # of which some versions of Pillow give the size with the orientation applied
        size, orientation = (image.tag_v2[_WIDTH], image.tag_v2[_HEIGHT]), image.getexif().get(_ORIENTATION)
    else:
        size, orientation = image.size, _exif_orientation(image)
    return size[::-1] if orientation in (5, 6, 7, 8) else size


def _exif_orientation(image: Image.Image) -> int | None:
    """As OpenCV takes it: of EXIF alone, where Pillow also knows that of XMP and loads the whole of a PNG."""
    if image.format == 'AVIF':
        return None  # OpenCV turns none
    exif = Image.Exif()
    try:
        exif.load(_png_exif(image.fp) if image.format == 'PNG' else image.info.get('exif'))
        return exif.get(_ORIENTATION)
    except Exception:  # OpenCV reads an image whose EXIF is damaged
        return None


def _png_exif(file: IO[bytes]) -> bytes | None:
    """The EXIF data of a PNG, which may stand behind its pixels; the pixels are skipped."""
    file.seek(len(PNG_START))
    while len(head := file.read(8)) == 8:
        length, name = int.from_bytes(head[:4], 'big'), head[4:]
        if name == b'eXIf':
            return file.read(length)
        file.seek(length + 4, io.SEEK_CUR)
    return None


def bgr_of(image: Image.Image) -> np.ndarray:
    """The pixels of a PIL image as ``LoadPhoto`` gives those of a file: ``(H, W, 3)`` BGR uint8, upright.

    An alpha channel is dropped. Of 16-bit values, which may be stored in 32 bits, the upper 8 bits are taken.

    Raises:
        InputError: it cannot be loaded, is empty or holds other values; the line says why and names no image.
    """
    try:
        image = ImageOps.exif_transpose(image)
        mode = image.mode
        if mode.startswith('I'):
            values = np.asarray(image).astype(np.int64)
        elif mode != 'F':
            values = np.asarray(image.convert({'La': 'LA', 'RGBa': 'RGBA'}.get(mode, mode)).convert('RGB'))
    except Exception as error:  # Pillow's decoders raise whatever their formats make them stumble over
        raise InputError(f'cannot be decoded ({_reason(error)})') from None
    if 0 in image.size:
        raise InputError(f'has {image.width} x {image.height} pixels')
    if mode == 'F':
        raise InputError('holds fractions, of which nothing says what is white; save it with 8 or 16 bits')
    if not mode.startswith('I'):
        return cv2.cvtColor(values, cv2.COLOR_RGB2BGR)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise InputError(f'holds values from {values.min()} to {values.max()}; save it with 8 or 16 bits')
    return np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2)


def tiff_pixels(content: bytes, upright: bool = True) -> np.ndarray | None:
    """The pixels of a TIFF; OpenCV darkens transparent ones, reads turned ones not at all, damaged ones silently.

    Args:
        content: the bytes of the file.
        upright: apply the orientation.

    Returns:
        ``(H, W, 3)`` BGR uint8; None for a kind of TIFF that Pillow does not know.

    Raises:
        InputError: as :func:`bgr_of`.
    """
    try:
        with any_size():
            image = Image.open(io.BytesIO(content), formats=['TIFF'])
    except Image.UnidentifiedImageError:
        return None
    except Exception as error:
        raise InputError(f'cannot be decoded ({_reason(error)})') from None
    if image.width * image.height > MAX_PIXELS:
        raise InputError(f'cannot be decoded ({image.width} x {image.height} pixels)')
    orientation = image.tag_v2.get(_ORIENTATION)
    with any_size() if image.width * image.height > _WARNED_FROM else nullcontext():
        pixels = bgr_of(image)
    if upright or orientation not in _BACK:
        return pixels
    return np.ascontiguousarray(Image.fromarray(pixels).transpose(_BACK[orientation]))


def decoded(content: bytes) -> bytes | None:
    """What Pillow makes of a file, to compare it with what it makes of another; None where that is nothing."""
    try:
        with any_size():
            return Image.open(io.BytesIO(content)).convert('RGB').tobytes()
    except Exception:
        return None


def _reason(error: Exception) -> str:
    """The first line of an error, or its kind."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
