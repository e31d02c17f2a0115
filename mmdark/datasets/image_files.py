"""Recognise image files and read image sizes from the headers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO

from PIL import Image

from mmdark.datasets.transforms.pillow_pixels import ORIENTATION, any_size
from mmdark.errors import InputError
from mmdark.file_limits import refuse_endless

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
"""In lower case."""

_TIFF_WIDTH, _TIFF_HEIGHT = 0x0100, 0x0101
_PNG_SIGNATURE_BYTES = 8


def is_image(path: str | Path) -> bool:
    """Whether a file name has an image suffix; ``._*`` files, which macOS creates, are excluded."""
    path = Path(path)
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('._')


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height in pixels as ``LoadPhoto`` gives them, the EXIF orientation applied; only the header is read.

    Raises:
        InputError: the file is missing or its header is not that of an image.
    """
    try:
        refuse_endless(path)
        with any_size(), Image.open(path) as image:
            return _upright_size(image)
    except Exception as error:  # Pillow's readers raise many kinds of errors on damaged files
        reason = getattr(error, 'strerror', None) or 'its header is not that of an image'
        raise InputError(
            f'image {path} cannot be read ({reason}): copy or download it again, or take it out of the annotation'
        ) from None


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height with the orientation applied as OpenCV applies it; the image is not decoded."""
    size, orientation = image.size, None
    try:
        if image.format == 'TIFF':  # some versions of Pillow give its size with the orientation applied
            size, orientation = (image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT]), image.tag_v2.get(ORIENTATION)
        elif image.format != 'AVIF':  # OpenCV does not turn AVIF
            # Not image.getexif(): it also reads XMP, which OpenCV does not, and decodes a whole PNG.
            exif = Image.Exif()
            exif.load(_png_exif(image.fp) if image.format == 'PNG' else image.info.get('exif'))
            orientation = exif.get(ORIENTATION)
    except KeyError:
        raise
    except Exception:  # OpenCV reads an image whose EXIF is damaged
        orientation = None
    return size[::-1] if orientation in (5, 6, 7, 8) else size


def _png_exif(file: IO[bytes]) -> bytes | None:
    """The EXIF data of a PNG, which may follow the pixels; the pixels are skipped."""
    file.seek(_PNG_SIGNATURE_BYTES)
    while len(head := file.read(8)) == 8:
        length, name = int.from_bytes(head[:4], 'big'), head[4:]
        if name == b'eXIf':
            return file.read(length)
        file.seek(length + 4, io.SEEK_CUR)
    return None
