"""Load a photograph of any kind as 8-bit BGR; an unusable file is reported in one line."""

import logging

import cv2
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import TRANSFORMS
from mmengine.logging import print_log

from mmdark.errors import InputError
from mmdark.file_limits import endless
from mmdark.registry import TRANSFORMS as OUR_TRANSFORMS

from .file_damage import damage_of
from .jpeg_damage import CUT, END, START
from .pillow_pixels import TIFF_STARTS, tiff_pixels

_COLOR_FLAGS = {
    'color': cv2.IMREAD_COLOR,
    'color_ignore_orientation': cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
}
_MEND = 'copy or download it again, or take it out of the annotation'


@OUR_TRANSFORMS.register_module('LoadImageFromFile')
@TRANSFORMS.register_module()
class LoadPhoto(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` for photographs: always uint8 ``(H, W, 3)`` BGR, 0 to 255.

    Grey images are repeated over three channels, palette and CMYK images are converted, an alpha channel is dropped,
    and 16-bit values are reduced to their upper 8 bits (65535 becomes 255; OpenCV would clip).

    The EXIF orientation is applied, as everywhere in mmdet, so boxes are relative to the photograph as a viewer shows
    it. None of the 1,129 WIDER FACE images that we checked has one. For boxes relative to the stored pixels use
    ``color_type='color_ignore_orientation'``.

    If a file is damaged inside, the part that can be decoded is used, and the file is logged once.

    In a test pipeline use ``dict(type='LoadImageFromFile', _scope_='mmdark')``, see :mod:`mmdark.registry`.

    Args:
        to_float32: convert to float32 on the same scale.
        color_type: ``'color'`` or ``'color_ignore_orientation'``.
        ignore_empty: return ``None`` for an unusable file (in training, another image is then drawn).
        backend_args: where files are stored, see :func:`mmengine.fileio.get`.

    Raises:
        InputError: the file is missing, empty, truncated or not an image; the message is one line that names the file.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        ignore_empty: bool = False,
        *,
        backend_args: dict | None = None,
    ) -> None:
        if color_type not in _COLOR_FLAGS:
            raise InputError(f'color_type of LoadPhoto is {color_type!r}: choose one of {", ".join(_COLOR_FLAGS)}')
        super().__init__(to_float32, color_type, ignore_empty=ignore_empty, backend_args=backend_args)
        self._logged: set[str] = set()

    def transform(self, results: dict) -> dict | None:
        """Add ``img``, ``img_shape`` and ``ori_shape`` (both ``(H, W)``) for the file ``results['img_path']``."""
        path = results['img_path']
        try:
            img, damage = read_photo(path, self.color_type, self.backend_args)
        except InputError:
            if self.ignore_empty:
                return None
            raise
        if damage and path not in self._logged:
            self._logged.add(path)
            print_log(
                f'image {path} is damaged inside ({damage}), the rest is used: {_MEND}', 'current', logging.WARNING
            )
        results['img'] = img.astype(np.float32) if self.to_float32 else img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        return results


def read_photo(path: str, color_type: str = 'color', backend_args: dict | None = None) -> tuple[np.ndarray, str | None]:
    """Read a file as :class:`LoadPhoto` does.

    Returns:
        The pixels, ``(H, W, 3)`` uint8 BGR, and a description of the damage or None, see :func:`damage_of`.

    Raises:
        InputError: as of :class:`LoadPhoto`.
    """
    if kind := endless(path):
        raise InputError(f'image {path} is {kind}, not a file: {_MEND}')
    try:
        content = fileio.get(path, backend_args=backend_args)
    except OSError as error:
        raise InputError(f'image {path} cannot be read ({error.strerror or error}): {_MEND}') from None
    if not content:
        raise InputError(f'image {path} is empty (0 bytes): {_MEND}')
    damage = damage_of(content)
    if damage == CUT:
        raise InputError(f'image {path} is cut off (its end is missing after {len(content)} bytes): {_MEND}')
    try:
        img = _decode(content, color_type)
    except InputError as error:
        raise InputError(f'image {path} {error}: {_MEND}') from None
    if img is None:
        reason = damage or f'{len(content)} bytes, damaged or no image'
        raise InputError(f'image {path} cannot be decoded ({reason}): {_MEND}')
    return img, damage or damage_of(content, img)


def _decode(content: bytes, color_type: str) -> np.ndarray | None:
    """The pixels, or None if no decoder supports the file. The message of an ``InputError`` does not name the file."""
    img = None
    if content.startswith(TIFF_STARTS):
        img = tiff_pixels(content, color_type == 'color')
    elif content.startswith(START):
        content += END  # a JPEG may lack its end marker
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), _COLOR_FLAGS[color_type]) if img is None else img
    except cv2.error as error:
        raise InputError(f'cannot be decoded ({error.err})') from None
