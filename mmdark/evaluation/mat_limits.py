"""What a mat file may cost: scipy follows cells in cells without end, and takes the memory that a file states."""

from __future__ import annotations

import zlib
from pathlib import Path

from mmdark.file_limits import DEPTH, BeyondLimits, most_bytes

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15


def check_mat(path: Path) -> None:
    """See that a mat file of version 5 to 7 can be read in the memory that its size lets expect.

    Raises:
        BeyondLimits: it takes more, or its cells nest too deep.
        ValueError: it is no such file, or states more than it has.
        zlib.error: what was packed is damaged.
    """
    content = path.read_bytes()
    if len(content) < _HEADER or content[126:128] not in (b'IM', b'MI'):
        raise ValueError('no header of version 5 to 7')
    order = 'little' if content[126:128] == b'IM' else 'big'
    most = most_bytes(len(content))
    for kind, start, end in _elements(content, _HEADER, len(content), order):
        if kind != _COMPRESSED:
            _check_depth(content, start, end, kind, order)
            continue
        inflated = zlib.decompressobj().decompress(content[start:end], most + 1)
        most -= len(inflated)
        if most < 0:
            raise BeyondLimits('it takes too much memory when unpacked')
        for inner, begin, stop in _elements(inflated, 0, len(inflated), order):
            _check_depth(inflated, begin, stop, inner, order)


def _elements(content: bytes, start: int, end: int, order: str) -> list[tuple[int, int, int]]:
    """Kind, start and end of the data of each element between two places."""
    found = []
    while start + 8 <= end:
        kind = int.from_bytes(content[start : start + 4], order)
        if kind >> 16:  # a short one: its length stands beside its kind
            found.append((kind & 0xFFFF, start + 4, start + 8))
            start += 8
            continue
        length = int.from_bytes(content[start + 4 : start + 8], order)
        start += 8
        if start + length > end:
            raise ValueError('an element states more bytes than there are')
        found.append((kind, start, start + length))
        start += length if kind == _COMPRESSED else -(-length // 8) * 8
    return found


def _check_depth(content: bytes, start: int, end: int, kind: int, order: str) -> None:
    level = [(start, end)] if kind == _MATRIX else []
    for _ in range(DEPTH):
        inner = [_elements(content, begin, stop, order) for begin, stop in level]
        level = [(begin, stop) for elements in inner for kind, begin, stop in elements if kind == _MATRIX]
        if not level:
            return
    raise BeyondLimits(f'its cells nest more than {DEPTH} levels')
