"""Load a photograph of whatever kind as 8-bit BGR, and say in one line what is wrong with one that cannot be used."""

import cv2
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import TRANSFORMS

from mmdark.errors import InputError
from mmdark.file_limits import endless
from mmdark.registry import TRANSFORMS as OUR_TRANSFORMS

_COLOR_FLAGS = {
    'color': cv2.IMREAD_COLOR,
    'color_ignore_orientation': cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
}
_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
_PNG_START, _PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82'
_MEND = 'copy or download it again, or take it out of the annotation'


@OUR_TRANSFORMS.register_module('LoadImageFromFile')
@TRANSFORMS.register_module()
class LoadPhoto(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` for photographs: always uint8 ``(H, W, 3)`` BGR, 0 to 255.

    Grey images are repeated over three channels, palettes looked up, CMYK converted, an alpha channel dropped, 16-bit
    values brought to their upper 8 bits (65535 becomes 255, not clipped).

    EXIF: as everywhere in mmdet, the orientation in the file is applied, so boxes are relative to the photograph as a
    viewer shows it. None of the WIDER FACE images looked at (1,129) has one, so for them it makes no difference; for
    boxes relative to the stored pixels take ``color_type='color_ignore_orientation'``.

    In a test pipeline it is ``dict(type='LoadImageFromFile', _scope_='mmdark')``, see :mod:`mmdark.registry`.

    Args:
        to_float32: gives float32 instead, same scale.
        color_type: ``'color'`` or ``'color_ignore_orientation'``.
        ignore_empty: returns ``None`` for a file that cannot be used (in training another image is then taken).
        backend_args: where files live, see :func:`mmengine.fileio.get`.

    Raises:
        InputError: the file is missing, empty, cut off or not an image, in one line that names it.
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

    def transform(self, results: dict) -> dict | None:
        """Add ``img``, ``img_shape`` and ``ori_shape`` (both ``(H, W)``) for the file ``results['img_path']``."""
        try:
            img = self._load(results['img_path'])
        except InputError:
            if self.ignore_empty:
                return None
            raise
        results['img'] = img.astype(np.float32) if self.to_float32 else img
        results['img_shape'] = img.shape[:2]
        results['ori_shape'] = img.shape[:2]
        return results

    def _load(self, path: str) -> np.ndarray:
        """The file's pixels, decoded once."""
        if kind := endless(path):
            raise InputError(f'image {path} is {kind}, not a file: {_MEND}')
        try:
            content = fileio.get(path, backend_args=self.backend_args)
        except OSError as error:
            raise InputError(f'image {path} cannot be read ({error.strerror or error}): {_MEND}') from None
        if not content:
            raise InputError(f'image {path} is empty (0 bytes): {_MEND}')
        if not is_complete(content):
            raise InputError(f'image {path} is cut off (its end is missing after {len(content)} bytes): {_MEND}')
        try:
            img = cv2.imdecode(np.frombuffer(content, np.uint8), _COLOR_FLAGS[self.color_type])
        except cv2.error as error:
            raise InputError(f'image {path} cannot be decoded ({error.err}): {_MEND}') from None
        if img is None:
            raise InputError(f'image {path} cannot be decoded ({len(content)} bytes, damaged or no image): {_MEND}')
        return img


def is_complete(content: bytes) -> bool:
    """Whether a JPEG or PNG has its end; true for other formats, which the decoder judges.

    OpenCV 4 fills what is missing with grey, OpenCV 5 gives nothing; this finds the cut before either decodes. A JPEG's
    end marker is looked for after its first scan: the thumbnail in the header has one of its own.

    Args:
        content: the bytes of the file.
    """
    if content.startswith(_PNG_START):
        return content.rfind(_PNG_END) != -1
    if content.startswith(_JPEG_START):
        scan = _first_scan(content)
        return scan != -1 and content.rfind(_JPEG_END, scan) != -1
    return True


def _first_scan(content: bytes) -> int:
    """Where the first start-of-scan marker of a JPEG stands, -1 if the headers end before it."""
    position = len(_JPEG_START)
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xDA:
            return position
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a segment
            position += 2
        else:
            position += 2 + int.from_bytes(content[position + 2 : position + 4], 'big')
    return -1
