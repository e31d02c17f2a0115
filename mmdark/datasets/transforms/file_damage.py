"""Detect damage inside image files; decoders read many damaged files without an error."""

from __future__ import annotations

import numpy as np

from . import jpeg_damage
from .jpeg_damage import CUT, STRANGE, ZEROS, end_fault
from .pillow_pixels import PNG_START, decoded

PNG_END = b'IEND\xaeB`\x82'
_JPEG_2000 = b'\xff\x4f\xff\x51'  # the start of its data, also inside a .jp2
_MANY_ZEROS = bytes(256)  # JPEG 2000 has single zeros for packets without data


def damage_of(content: bytes, pixels: np.ndarray | None = None) -> str | None:
    """Describe the damage of a file, as far as its bytes show it; None if no damage is found.

    In JPEG, WebP and JPEG 2000, parts that are missing, erased or overwritten by zeros are detected, but not single
    wrong bits. In BMP, PPM and uncompressed TIFF, only a missing end is detected. The decoders of PNG, GIF, AVIF and
    compressed TIFF detect damage themselves.

    Args:
        content: the bytes of the file.
        pixels: the pixels decoded by OpenCV, ``(H, W, 3)``, for a second check of a JPEG that may lack its end.

    Returns:
        :data:`CUT` if the end is missing; otherwise a description or None.
    """
    if content.startswith(jpeg_damage.START):
        closely = pixels is not None and jpeg_damage.ends_in_fill(pixels)
        return jpeg_damage.jpeg_damage(content, decoded, closely) if pixels is None or closely else None
    if pixels is not None:
        return None
    if content.startswith(PNG_START):
        return None if PNG_END in content else CUT
    if content.startswith(b'RIFF') and content[8:12] == b'WEBP':
        return _webp_damage(content)
    if content.startswith(b'BM'):
        return _bmp_damage(content)
    if content.startswith(_JPEG_2000) or content[4:8] == b'jP  ':
        return _jpeg_2000_damage(content)
    return None


def _webp_damage(content: bytes) -> str | None:
    """Long runs of one value are rare; if there is one, decode the data with a changed and with a longer end."""
    if 8 + _number(content, 4) > len(content):
        return CUT
    position = 12
    while position + 8 <= len(content):
        kind, length = content[position : position + 4], _number(content, position + 4)
        data = content[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
        if kind in (b'VP8 ', b'VP8L') and (ZEROS in data or b'\xff' * len(ZEROS) in data):
            if decoded(_webp(kind, data)) is None:
                return 'one value many times in a row'
            fault = end_fault(data, (0, len(data)), lambda data, kind=kind: decoded(_webp(kind, data)))
            # Lossy data begin with a part that tells how each block is coded; what follows is short in flat pictures.
            first_part = 10 + (int.from_bytes(data[:3], 'little') >> 5) if kind == b'VP8 ' else 0
            if fault == jpeg_damage.TOO_EARLY or (fault and len(data) - first_part > jpeg_damage.LAST):
                return fault
    return None


def _webp(kind: bytes, data: bytes) -> bytes:
    data += b'\0' * (len(data) % 2)
    content = b'WEBP' + kind + len(data).to_bytes(4, 'little') + data
    return b'RIFF' + len(content).to_bytes(4, 'little') + content


def _bmp_damage(content: bytes) -> str | None:
    """Compare the length of an uncompressed BMP with its header."""
    start, header, width, height = (_number(content, at, signed=True) for at in (10, 14, 18, 22))
    bits, compression = _number(content, 28, 2), _number(content, 30)
    if header < 40 or compression not in (0, 3):
        return None
    return CUT if start + (width * bits + 31) // 32 * 4 * abs(height) > len(content) else None


def _jpeg_2000_damage(content: bytes) -> str | None:
    """Each part gives its length, and holds no markers except those of its packets."""
    values = np.frombuffer(content, np.uint8)
    position = content.find(b'\xff\x90\x00\x0a', content.find(_JPEG_2000))
    while position != -1 and content[position : position + 2] == b'\xff\x90':
        length = int.from_bytes(content[position + 6 : position + 10], 'big')
        end = position + length if length else content.rfind(jpeg_damage.END)
        if end > len(content) or end <= position:
            return CUT
        data = values[content.find(b'\xff\x93', position) + 2 : end]
        if ((data[:-1] == 0xFF) & (data[1:] > 0x92)).any():
            return STRANGE
        if _MANY_ZEROS in content[position:end]:
            return f'{len(_MANY_ZEROS)} and more zeros in a row'
        position = end
    if position == -1 or position >= len(content) - 1:
        return CUT
    return None if content[position : position + 2] == jpeg_damage.END else STRANGE


def _number(content: bytes, start: int, size: int = 4, signed: bool = False) -> int:
    return int.from_bytes(content[start : start + size], 'little', signed=signed)
