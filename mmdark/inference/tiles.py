"""Detection in large photographs by overlapping tiles.

A face that a tile cuts is whole in the next one. A face too large for the overlap is found in the photograph shrunk by
two, by four and so on, until it is one tile. All tiles together have about twice the pixels of the photograph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from mmcv.ops import nms

from mmdark.errors import InputError

Detect = Callable[[list[np.ndarray]], list[tuple[np.ndarray, ...]]]
"""Images ``(H, W, 3)`` → boxes ``(N, 4)``, scores ``(N,)`` and, of several classes, labels ``(N,)`` of each."""

AUTO_PIXELS = 2048 * 2048
AUTO_TILE = 1280
OVERLAP = 128
"""Of two neighbouring tiles, in pixels."""
GRID = 128
"""Tiles begin at multiples of the detector's largest stride, so that its cells lie as in the whole photograph."""
MIN_TILE = 2 * GRID + OVERLAP


class Span(NamedTuple):
    """A tile along one axis in pixels; it contributes the boxes whose centre is in ``own_start`` to ``own_end``."""

    start: int
    end: int
    own_start: int
    own_end: int


def tile_side(tile: int | str | None, height: int, width: int) -> int | None:
    """The side of the tiles for an image of this size; None for the whole image at once.

    Raises:
        InputError: ``tile`` is neither a sufficient number of pixels nor ``'auto'`` nor None.
    """
    if tile == 'auto':
        tile = AUTO_TILE if max(height, GRID) * max(width, GRID) > AUTO_PIXELS else None  # a strip is filled up
    if tile is None:
        return None
    if isinstance(tile, bool) or not isinstance(tile, int) or tile < MIN_TILE:
        raise InputError(f"tile={tile!r}: give the side of a tile in pixels, {MIN_TILE} or more, or 'auto'")
    return tile if max(height, width) > tile else None


def spans(length: int, tile: int, overlap: int = OVERLAP) -> list[Span]:
    """Cut an axis into overlapping tiles; their own parts meet in the middle of the overlaps.

    Args:
        length: of the axis, in pixels.
        tile: side of a tile; the last one may be up to :data:`GRID` shorter.
        overlap: the least overlap of neighbours.

    Example:
        >>> [tuple(span) for span in spans(1000, 640)]
        [(0, 640, 0, 512), (384, 1000, 512, 1000)]
    """
    step = (tile - overlap) // GRID * GRID
    last = max(0, -(-(length - tile) // GRID) * GRID)
    starts = [*range(0, last, step), last]
    ends = [min(start + tile, length) for start in starts]
    middles = [(start + end) // 2 for start, end in zip(starts[1:], ends, strict=False)]
    return [Span(*span) for span in zip(starts, ends, [0, *middles], [*middles, length], strict=True)]


def detect_in_tiles(
    image: np.ndarray,
    detect: Detect,
    tile: int,
    batch_size: int = 1,
    overlap: int = OVERLAP,
    iou_threshold: float = 0.3,
) -> tuple[np.ndarray, ...]:
    """Detect in tiles of the image, and in tiles of the image shrunk, and merge by non-maximum suppression.

    A tile contributes the boxes whose centre is in its own part, up to three quarters of the overlap in size, so that
    they are whole in it. The image shrunk by two contributes the next larger ones, and so on; the last, a single tile,
    all that are larger.

    Args:
        image: ``(H, W, 3)`` uint8.
        detect: is given ``batch_size`` tiles at most.
        tile: side of a tile in pixels.
        batch_size: tiles at a time.
        overlap: of neighbouring tiles, in pixels.
        iou_threshold: of the suppression, for each class.

    Returns:
        Boxes ``(N, 4)`` float32 in pixels of the image and scores ``(N,)`` float32, the highest first; and labels
        ``(N,)`` where ``detect`` gives them.
    """
    height, width = image.shape[:2]
    found, smallest = [], 0.0
    while True:
        rows, columns = spans(image.shape[0], tile, overlap), spans(image.shape[1], tile, overlap)
        single = len(rows) == len(columns) == 1
        largest = np.inf if single else 0.75 * overlap
        scale = np.array([width / image.shape[1], height / image.shape[0]] * 2, np.float32)
        windows = list(product(rows, columns))
        for first in range(0, len(windows), batch_size):
            some = windows[first : first + batch_size]
            seen = [image[row.start : row.end, column.start : column.end] for row, column in some]
            for (row, column), (boxes, *others) in zip(some, detect(seen), strict=True):
                boxes = boxes.reshape(-1, 4) + np.array([column.start, row.start] * 2, np.float32)
                keep = _is_own(boxes, row, column, overlap / 8) & _between(boxes, smallest, largest)
                found.append((boxes[keep] * scale, *(other[keep] for other in others)))
        if single:
            break
        image = cv2.resize(image, _halved(image), interpolation=cv2.INTER_AREA)
        smallest = 0.75 * overlap / 4  # half of the limit above, so that no size is missed
    return _merged(found, iou_threshold)


def stitch(image: np.ndarray, look: Callable[[np.ndarray], np.ndarray], tile: int | None) -> np.ndarray:
    """Apply ``look`` to an image ``(H, W, 3)`` tile by tile (None: at once) and join the tiles' own parts.

    ``look`` maps a tile to an array whose first two axes are those of the tile.
    """
    if tile is None:
        return look(image)
    rows = []
    for row in spans(image.shape[0], tile):
        parts = []
        for column in spans(image.shape[1], tile):
            seen = look(image[row.start : row.end, column.start : column.end])
            inner = slice(column.own_start - column.start, column.own_end - column.start)
            parts.append(seen[row.own_start - row.start : row.own_end - row.start, inner])
        rows.append(np.concatenate(parts, axis=1))
    return np.concatenate(rows)


def _is_own(boxes: np.ndarray, row: Span, column: Span, slack: float) -> np.ndarray:
    """Whose centre is in the tile's own part, with some slack: two tiles place the same face slightly differently."""
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    across = (x >= column.own_start - slack) & (x <= column.own_end + slack)
    return across & (y >= row.own_start - slack) & (y <= row.own_end + slack)


def _between(boxes: np.ndarray, smallest: float, largest: float) -> np.ndarray:
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    return (longer >= smallest) & (longer <= largest)


def _halved(image: np.ndarray) -> tuple[int, int]:
    return max(1, image.shape[1] // 2), max(1, image.shape[0] // 2)


def _merged(found: Sequence[tuple[np.ndarray, ...]], iou_threshold: float) -> tuple[np.ndarray, ...]:
    """The boxes of all tiles after suppression; classes are moved apart, so that one does not suppress another."""
    boxes, scores, *labels = (np.concatenate(column) for column in zip(*found, strict=True))
    boxes, scores = boxes.astype(np.float32), scores.astype(np.float32)
    if not len(boxes):
        return boxes, scores, *labels
    apart = boxes + labels[0][:, None].astype(np.float32) * (boxes.max() + 1) if labels else boxes
    rows, kept = nms(apart, scores, iou_threshold)
    return boxes[kept], rows[:, 4], *(each[kept] for each in labels)
