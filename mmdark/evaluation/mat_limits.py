"""Limits of a mat file: scipy follows nested cells without limit, and allocates the memory that a file states."""

from __future__ import annotations

import zlib
from pathlib import Path

from mmdark.file_limits import DEPTH, BeyondLimits, most_bytes

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15


def check_mat(path: Path) -> None:
    """Check that reading a mat file of version 5 to 7 needs a memory that is reasonable for its size.

    Raises:
        BeyondLimits: the file needs more memory, or its cells are nested too deeply.
        ValueError: the file is not a mat file of these versions, or an element is longer than the file.
        zlib.error: compressed data are damaged.
    """
    content = path.read_bytes()
    if len(content) < _HEADER or content[126:128] not in (b'IM', b'MI'):
        raise ValueError('no header of version 5 to 7')
    order = 'little' if content[126:128] == b'IM' else 'big'
    most = most_bytes(len(content))
    for kind, data in _elements(content[_HEADER:], order):
        if kind != _COMPRESSED:
            _check_depth([(kind, data)], order)
            continue
        inflated = zlib.decompressobj().decompress(data, most + 1)
        most -= len(inflated)
        if most < 0:
            raise BeyondLimits('it takes too much memory when unpacked')
        _check_depth(_elements(inflated, order), order)


def _elements(content: bytes, order: str) -> list[tuple[int, memoryview]]:
    view, start, found = memoryview(content), 0, []
    while start + 8 <= len(view):
        kind = int.from_bytes(view[start : start + 4], order)
        if kind >> 16:  # a small element: its length is in the upper half of its type
            found.append((kind & 0xFFFF, view[start + 4 : start + 8]))
            start += 8
            continue
        length = int.from_bytes(view[start + 4 : start + 8], order)
        start += 8
        if start + length > len(view):
            raise ValueError('an element states more bytes than there are')
        found.append((kind, view[start : start + length]))
        start += length if kind == _COMPRESSED else -(-length // 8) * 8
    return found


def _check_depth(elements: list[tuple[int, memoryview]], order: str) -> None:
    for _ in range(DEPTH + 1):
        matrices = [data for kind, data in elements if kind == _MATRIX]
        if not matrices:
            return
        elements = [element for data in matrices for element in _elements(data, order)]
    raise BeyondLimits(f'its cells nest more than {DEPTH} levels')
