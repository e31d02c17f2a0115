"""Detect missing or overwritten data in a JPEG: decoders fill such parts without an error.

Scanning the bytes is much cheaper than decoding. Only if they are suspicious, the image is decoded a few more times:
the data are complete if changing their last bytes changes the image and adding bytes after them does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

START, END = b'\xff\xd8', b'\xff\xd9'
CUT = 'cut off'
STRANGE = 'its compressed data hold what does not belong there'
TOO_EARLY = 'its compressed data end too early'
TOO_LATE = 'its compressed data end too late'
ZEROS = bytes(32)
"""Encoders only write this many zeros in a row for large uniform areas."""
LAST = 16
"""Number of bytes at the end of compressed data that are replaced, to test whether the image depends on them."""
OTHER = bytes(range(1, 251, 5))
"""Arbitrary bytes that replace or follow compressed data in this test."""

Decode = Callable[[bytes], 'bytes | None']
"""Returns the pixels of a file, or None if it cannot be decoded."""

_FILL = ([128] * 3, [64] * 3, [65] * 3)  # libjpeg's pixels for missing data; the last two for CMYK
_GREY = b'\x80\x80\x80'
_RESTARTS = range(0xD0, 0xD8)
_WITHOUT_SEGMENT = (0x01, *_RESTARTS, 0xD8)
_AFTER_DATA = (0xC4, 0xCC, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE)
_FRAMES = tuple(code for code in range(0xC0, 0xD0) if code not in (0xC4, 0xC8, 0xCC))
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)


class _Damaged(Exception):
    """Raised with a description of the damage."""


class _Scan(NamedTuple):
    """One scan: start and end of its data between restart markers, and the coefficients that it contains."""

    spans: list[tuple[int, int]]
    components: bytes
    first_coefficient: int
    last_coefficient: int
    refines: bool
    bits_left: int
    """Number of low bits that are left to later scans."""
    interval: int
    """Number of MCUs between two restart markers; 0 without restart markers."""


class _Jpeg(NamedTuple):
    frame: int
    header: bytes
    scans: list[_Scan]
    closed: bool
    """Whether the file has an end marker."""

    @property
    def progressive(self) -> bool:
        return self.frame in _PROGRESSIVE


def jpeg_damage(content: bytes, decode: Decode, closely: bool = False) -> str | None:
    """Describe the damage in a JPEG; None if there is none.

    Args:
        content: the bytes of the file; it may lack its end marker.
        decode: returns the pixels of a JPEG.
        closely: also decode to test whether the end is missing; see :func:`ends_in_fill`.

    Returns:
        :data:`CUT` if the file ends too early; otherwise a description or None.
    """
    try:
        jpeg = _read_markers(content)
        _check_scans(jpeg)
        if not jpeg.closed and end_fault(content + END, jpeg.scans[-1].spans[-1], decode) == TOO_EARLY:
            return CUT
        for scan, span in _suspects(jpeg, content, closely):
            if jpeg.progressive and scan.first_coefficient and not scan.refines:
                return f'{len(ZEROS)} and more zeros in a row'
            fault = end_fault(content, span, decode)
            if fault == TOO_EARLY or (fault and not jpeg.progressive and decode(content)[-3:] != _GREY):
                return fault
    except _Damaged as damage:
        return str(damage)
    return None


def end_fault(content: bytes, span: tuple[int, int], decode: Decode) -> str | None:
    """Return :data:`TOO_EARLY` if inserting data at the end of a span changes the image, or if it cannot be decoded.

    Returns :data:`TOO_LATE` if replacing the end of the span does not change it, and None if the span is complete.
    """
    start, end = span
    pixels, last = decode(content), max(start, end - LAST)
    if pixels is None or pixels != decode(content[:end] + OTHER + content[end:]):
        return TOO_EARLY
    return TOO_LATE if pixels == decode(content[:last] + OTHER[: end - last] + content[end:]) else None


def ends_in_fill(pixels: np.ndarray) -> bool:
    """Whether a corner (the last pixel in some orientation) has a value that decoders use for missing data."""
    return any(pixels[row, column].tolist() in _FILL for row in (0, -1) for column in (0, -1))


def _read_markers(content: bytes) -> _Jpeg:
    """Find the frame header and the data of each scan; other segments, such as a thumbnail, are skipped."""
    values = np.frombuffer(content, np.uint8)
    position, fill, frame, header, interval, scans, closed = len(START), 0, 0, b'', 0, [], False
    spans: list[tuple[int, int]] | None = None  # of the current scan
    for place in np.flatnonzero((values[:-1] == 0xFF) & (values[1:] != 0)).tolist():
        if place < position:
            continue
        code = content[place + 1]
        if scans and ((spans is None or fill) and place != position):
            raise _Damaged(STRANGE)
        if code == 0xFF:  # fill bytes may precede a marker
            position, fill = place + 1, 1
            continue
        if spans is not None:
            spans[-1] = spans[-1][0], place
            if code in _RESTARTS:
                if code != _RESTARTS[(len(spans) - 1) % 8] or not interval:
                    raise _Damaged('its restart markers are not in their order')
                spans.append((place + 2, len(content)))
        fill, position = 0, place + 2
        if spans is not None and code in _RESTARTS:
            continue
        if scans and code not in _AFTER_DATA:
            raise _Damaged(STRANGE)
        spans = None
        if code == END[1]:
            closed = True
            break
        if code in _WITHOUT_SEGMENT:
            continue
        length = max(2, int.from_bytes(content[position : position + 2], 'big'))
        segment, position = content[position + 2 : position + length], position + length
        if code in _FRAMES:
            frame, header = code, segment
        elif code == 0xDD:
            interval = int.from_bytes(segment[:2], 'big')
        elif code == 0xDA:
            spans = [(position, len(content))]
            scans.append(_scan(spans, segment, interval))
    if fill or (not closed and scans and content.find(END, scans[0].spans[0][0]) != -1):
        raise _Damaged(STRANGE)
    return _Jpeg(frame, header, scans, closed)


def _scan(spans: list[tuple[int, int]], segment: bytes, interval: int) -> _Scan:
    count = segment[0] if segment else 0
    if not count or len(segment) < 2 * count + 4:
        raise _Damaged('the header of its compressed data is damaged')
    first, last, bits = segment[2 * count + 1 : 2 * count + 4]
    return _Scan(spans, segment[1 : 2 * count + 1 : 2], first, last, bits > 15, bits & 15, interval)


def _check_scans(jpeg: _Jpeg) -> None:
    """Raise if restart intervals are missing, or if the scans lack a coefficient or its lowest bits."""
    components = jpeg.header[6::3]
    if not jpeg.scans or not components:
        raise _Damaged(CUT)
    for scan in jpeg.scans if jpeg.closed else jpeg.scans[:-1]:
        if len(scan.spans) * scan.interval < _units(jpeg.header, scan.components) * (scan.interval > 0):
            raise _Damaged(TOO_EARLY)
    missing = 'some of its scans are missing' if jpeg.closed else CUT
    if not jpeg.progressive:
        if sorted(b''.join(scan.components for scan in jpeg.scans)) != sorted(components):
            raise _Damaged(missing)
        return
    left = {(component, place): 1 for component in components for place in range(64)}
    for scan in jpeg.scans:
        places = range(scan.first_coefficient, scan.last_coefficient + 1)
        left |= {(component, place): scan.bits_left for component in scan.components for place in places}
    if any(left.values()):
        raise _Damaged(missing)


def _units(header: bytes, components: bytes) -> int:
    """Number of MCUs in a scan of these components; 0 if the height is only given after the scan."""
    height, width = int.from_bytes(header[1:3], 'big'), int.from_bytes(header[3:5], 'big')
    sampling = {header[at]: (header[at + 1] >> 4, header[at + 1] & 15) for at in range(6, len(header) - 2, 3)}
    across, down = (max(1, *factors) for factors in zip((1, 1), *sampling.values(), strict=True))
    own = sampling.get(components[0], (1, 1)) if len(components) == 1 else (1, 1)
    return -(-width * own[0] // (8 * across)) * -(-height * own[1] // (8 * down))


def _suspects(jpeg: _Jpeg, content: bytes, closely: bool) -> Iterator[tuple[_Scan, tuple[int, int]]]:
    """Spans that contain :data:`ZEROS`, and the last span if ``closely``."""
    zeros = content.find(ZEROS, jpeg.scans[0].spans[0][0])
    for scan in jpeg.scans:
        for start, end in scan.spans:
            zeros = content.find(ZEROS, start) if -1 < zeros < start else zeros
            is_last = (start, end) == jpeg.scans[-1].spans[-1]
            if start <= zeros <= end - len(ZEROS) or (closely and is_last):
                yield scan, (start, end)
