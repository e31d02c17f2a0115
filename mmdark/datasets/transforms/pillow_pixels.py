"""Convert PIL images of all modes to BGR, and use Pillow to decode files that OpenCV reads incorrectly."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import cv2
import numpy as np
from PIL import Image, ImageOps

from mmdark.errors import InputError

PNG_START = b'\x89PNG\r\n\x1a\n'
TIFF_STARTS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
ORIENTATION = 0x0112
"""The EXIF and TIFF tag."""
MAX_PIXELS = 1 << 30
"""OpenCV's limit; Pillow's is 178.9 million, which current photographs exceed."""

_WARNED_FROM = 89_000_000
_TO_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""Orientation → operation that turns an upright image back to its stored orientation."""
_LIMIT = threading.RLock()


@contextmanager
def any_size() -> Iterator[None]:
    """Disable Pillow's limit on the number of pixels and its warning."""
    with _LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def bgr_of(image: Image.Image) -> np.ndarray:
    """Convert a PIL image to the format of ``LoadPhoto``: ``(H, W, 3)`` BGR uint8, upright.

    An alpha channel is dropped. 16-bit values, which may be stored in 32 bits, are reduced to their upper 8 bits.

    Raises:
        InputError: the image cannot be decoded, is empty or has unsupported values; the message does not name it.
    """
    try:
        image = ImageOps.exif_transpose(image)
        mode = image.mode
        if mode.startswith('I'):
            values = np.asarray(image).astype(np.int64)
        elif mode != 'F':
            values = np.asarray(image.convert({'La': 'LA', 'RGBa': 'RGBA'}.get(mode, mode)).convert('RGB'))
    except Exception as error:  # Pillow's decoders raise many kinds of errors on damaged files
        raise InputError(f'cannot be decoded ({_reason(error)})') from None
    if 0 in image.size:
        raise InputError(f'has {image.width} x {image.height} pixels')
    if mode == 'F':
        raise InputError('holds fractions without a known white; save it with 8 or 16 bits')
    if not mode.startswith('I'):
        return cv2.cvtColor(values, cv2.COLOR_RGB2BGR)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise InputError(f'holds values from {values.min()} to {values.max()}; save it with 8 or 16 bits')
    return np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2)


def tiff_pixels(content: bytes, upright: bool = True) -> np.ndarray | None:
    """The pixels of a TIFF; OpenCV darkens transparent ones, cannot read rotated ones and does not report damage.

    Args:
        content: the bytes of the file.
        upright: apply the orientation.

    Returns:
        ``(H, W, 3)`` BGR uint8; None for a kind of TIFF that Pillow does not support.

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
    orientation = image.tag_v2.get(ORIENTATION)
    with any_size() if image.width * image.height > _WARNED_FROM else nullcontext():
        pixels = bgr_of(image)
    if upright or orientation not in _TO_STORED:
        return pixels
    return np.ascontiguousarray(Image.fromarray(pixels).transpose(_TO_STORED[orientation]))


def decoded(content: bytes) -> bytes | None:
    """Decode a file with Pillow to compare its pixels with those of another; None if it cannot be decoded."""
    try:
        with any_size():
            return Image.open(io.BytesIO(content)).convert('RGB').tobytes()
    except Exception:
        return None


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
