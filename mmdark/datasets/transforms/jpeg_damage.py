"""Whether the compressed data of a JPEG are whole: decoders fill in what is missing and go on.

Looking at the bytes costs a small part of decoding. Only where something looks wrong is the picture decoded a few times
more: data are whole if the picture needs their last bytes, and none beyond them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

START, END = b'\xff\xd8', b'\xff\xd9'
CUT = 'cut off'
STRANGE = 'its compressed data hold what does not belong there'
ZEROS = bytes(32)
"""Encoders write so many zeros in a row for large areas without any structure, if at all."""
LAST = 16
"""Bytes at the end of compressed data that are exchanged, to see whether the picture needs them."""
OTHER = bytes(range(1, 251, 5))
"""Bytes that mean something else than those of a file."""

Decode = Callable[[bytes], 'bytes | None']
"""The pixels of a file; None where it cannot be decoded."""

_FILL = ([128] * 3, [64] * 3, [65] * 3)  # what libjpeg gives for blocks that it has no data for; the last two for CMYK
_GREY = b'\x80\x80\x80'
_WITHOUT_SEGMENT = (0x01, *range(0xD0, 0xD9))
_AFTER_DATA = (0xC4, 0xCC, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE)
_FRAMES = tuple(code for code in range(0xC0, 0xD0) if code not in (0xC4, 0xC8, 0xCC))
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)


class _Damaged(Exception):
    """Says what is wrong."""


class _Scan(NamedTuple):
    """One pass over the picture.

    Attributes:
        spans: starts and ends of its data in the file; several where restart markers part them.
        components: the numbers of the components in it.
        first: the first coefficient in it, 0 to 63.
        last: the last one.
        refines: whether it adds a bit to what an earlier scan gave.
        bits_left: how many bits are left to later scans.
        interval: units of the picture between two restart markers; 0 where there are none.
    """

    spans: list[tuple[int, int]]
    components: bytes
    first: int
    last: int
    refines: bool
    bits_left: int
    interval: int


class _Jpeg(NamedTuple):
    frame: int
    header: bytes
    scans: list[_Scan]
    closed: bool

    @property
    def progressive(self) -> bool:
        return self.frame in _PROGRESSIVE


def jpeg_damage(content: bytes, decode: Decode, closely: bool = False) -> str | None:
    """What is wrong inside a JPEG; None where it is whole.

    Args:
        content: the bytes of the file; without its end marker it is whole, too, if nothing else is missing.
        decode: gives the pixels of such a file.
        closely: decode to see whether the end is missing; see :func:`ends_in_fill`.

    Returns:
        :data:`CUT` where the file ends too early; otherwise some words.
    """
    try:
        jpeg = _walk(content)
        _check_scans(jpeg)
        if not jpeg.closed and not _is_used_up(content + END, jpeg.scans[-1].spans[-1], decode):
            return CUT
        for scan, span in _suspects(jpeg, content, closely):
            if jpeg.progressive and scan.first and not scan.refines:
                return f'{len(ZEROS)} and more zeros in a row'
            if not _is_used_up(content, span, decode):
                return 'its compressed data end too early'
            if not jpeg.progressive and not _is_needed(content, span, decode) and decode(content)[-3:] != _GREY:
                return 'its compressed data end too late'
    except _Damaged as damage:
        return str(damage)
    return None


def ends_in_fill(pixels: np.ndarray) -> bool:
    """Whether the last pixel, wherever the orientation puts it, is what a decoder gives for missing data."""
    return any(pixels[row, column].tolist() in _FILL for row in (0, -1) for column in (0, -1))


def _walk(content: bytes) -> _Jpeg:
    """Find the frame and the data of each scan; what lies in the header, such as a thumbnail, is not looked at."""
    values = np.frombuffer(content, np.uint8)
    markers = np.flatnonzero((values[:-1] == 0xFF) & (values[1:] != 0))
    position, frame, header, scans, interval = len(START), 0, b'', [], 0
    while len(markers := markers[np.searchsorted(markers, position) :]):
        code = content[markers[0] + 1]
        if scans and (markers[0] != position or code not in _AFTER_DATA):
            raise _Damaged(STRANGE)
        position = int(markers[0]) + (1 if code == 0xFF else 2)
        if code == END[1]:
            return _Jpeg(frame, header, scans, True)
        if code in _WITHOUT_SEGMENT:
            continue
        length = max(2, int.from_bytes(content[position : position + 2], 'big'))
        segment = content[position + 2 : position + length]
        position += length
        if code in _FRAMES:
            frame, header = code, segment
        elif code == 0xDD:
            interval = int.from_bytes(segment[:2], 'big')
        elif code == 0xDA:
            spans = _spans(values, markers[np.searchsorted(markers, position) :], position, interval > 0)
            scans.append(_scan(spans, segment, interval))
            position = spans[-1][1]
    if scans and content.find(END, scans[0].spans[0][0]) != -1:
        raise _Damaged(STRANGE)
    return _Jpeg(frame, header, scans, False)


def _spans(values: np.ndarray, markers: np.ndarray, start: int, restarts: bool) -> list[tuple[int, int]]:
    """The data from ``start`` to what is no restart marker, parted at these; they count from 0 to 7."""
    codes = values[markers + 1]
    others = np.flatnonzero((codes < 0xD0) | (codes > 0xD7) & (codes != 0xFF))
    markers = markers[: others[0] + 1] if len(others) else markers
    fill = values[markers + 1] == 0xFF  # such bytes may stand before a marker
    if (np.diff(markers, append=len(values))[fill] != 1).any():
        raise _Damaged(STRANGE)
    markers = markers[~fill]
    codes = values[markers + 1]
    others = np.flatnonzero((codes < 0xD0) | (codes > 0xD7))
    count = int(others[0]) if len(others) else len(codes)
    if (codes[:count] != 0xD0 + np.arange(count) % 8).any() or (count and not restarts):
        raise _Damaged('its restart markers are not in their order')
    if len(others) and codes[count] not in _AFTER_DATA:
        raise _Damaged(STRANGE)
    end = markers[count] if len(others) else len(values)
    parts = markers[:count]
    return list(zip([start, *(parts + 2).tolist()], [*parts.tolist(), int(end)], strict=True))


def _scan(spans: list[tuple[int, int]], segment: bytes, interval: int) -> _Scan:
    count = segment[0] if segment else 0
    if not count or len(segment) < 2 * count + 4:
        raise _Damaged('the header of its compressed data is damaged')
    first, last, bits = segment[2 * count + 1 : 2 * count + 4]
    return _Scan(spans, segment[1 : 2 * count + 1 : 2], first, last, bits > 15, bits & 15, interval)


def _check_scans(jpeg: _Jpeg) -> None:
    """See that each coefficient is given once, or once and refined to its last bit.

    Raises:
        _Damaged: something is there twice or is missing.
    """
    components = jpeg.header[6::3]
    if not jpeg.scans or not components:
        raise _Damaged(CUT)
    for scan in jpeg.scans if jpeg.closed else jpeg.scans[:-1]:
        if scan.interval and len(scan.spans) < -(-_units(jpeg.header, scan.components) // scan.interval):
            raise _Damaged('its compressed data end too early')
    if jpeg.progressive:
        left = {(one, place): 1 for one in components for place in range(64)}
        for scan in jpeg.scans:
            left |= {
                (one, place): scan.bits_left for one in scan.components for place in range(scan.first, scan.last + 1)
            }
        if any(left.values()):
            raise _Damaged('some of its scans are missing' if jpeg.closed else CUT)
        return
    coded = b''.join(scan.components for scan in jpeg.scans)
    if sorted(coded) != sorted(components):
        raise _Damaged('some of its scans are missing or there twice' if jpeg.closed else CUT)


def _units(header: bytes, components: bytes) -> int:
    """Into how many units a scan of these components divides the picture; a height of 0 is said after the scan."""
    height, width = int.from_bytes(header[1:3], 'big'), int.from_bytes(header[3:5], 'big')
    sampling = {header[at]: (header[at + 1] >> 4, header[at + 1] & 15) for at in range(6, len(header) - 2, 3)}
    across, down = (max(1, *factors) for factors in zip((1, 1), *sampling.values(), strict=True))
    if len(components) == 1:
        own = sampling.get(components[0], (1, 1))
        return -(-width * own[0] // (8 * across)) * -(-height * own[1] // (8 * down))
    return -(-width // (8 * across)) * -(-height // (8 * down))


def _suspects(jpeg: _Jpeg, content: bytes, closely: bool) -> Iterator[tuple[_Scan, tuple[int, int]]]:
    """Spans that hold many zeros, and the last one where it is to be looked at."""
    zeros = content.find(ZEROS, jpeg.scans[0].spans[0][0])
    for scan in jpeg.scans:
        for start, end in scan.spans:
            zeros = content.find(ZEROS, start) if -1 < zeros < start else zeros
            if start <= zeros <= end - len(ZEROS) or (closely and (start, end) == jpeg.scans[-1].spans[-1]):
                yield scan, (start, end)


def _is_used_up(content: bytes, span: tuple[int, int], decode: Decode) -> bool:
    """Whether the picture needs no more data than there are: further ones at their end change nothing."""
    pixels = decode(content)
    return pixels is not None and pixels == decode(content[: span[1]] + OTHER + content[span[1] :])


def _is_needed(content: bytes, span: tuple[int, int], decode: Decode) -> bool:
    """Whether the picture needs the data to their end: other ones there give other pixels."""
    start = max(span[0], span[1] - LAST)
    return decode(content) != decode(content[:start] + OTHER[: span[1] - start] + content[span[1] :])
