"""Detect in large photographs by overlapping tiles.

A face that is cut by the border of a tile is whole in the neighbouring tile. Faces too large for the overlap are
detected in the photograph downscaled by 2, 4 and so on, until it fits into a single tile. All tiles together have about
twice the pixels of the photograph.
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
"""Images ``(H, W, 3)`` → for each, boxes ``(N, 4)``, scores ``(N,)`` and, with several classes, labels ``(N,)``."""

AUTO_PIXELS = 2048 * 2048
AUTO_TILE = 1280
OVERLAP = 128
"""Overlap of two neighbouring tiles, in pixels."""
GRID = 128
"""The detector's largest stride. Tiles start at its multiples, so that priors lie as in the whole photograph."""
MIN_TILE = 2 * GRID + OVERLAP


class Span(NamedTuple):
    """Extent of a tile along one axis, in pixels; boxes count if their centre is in ``own_start`` to ``own_end``."""

    start: int
    end: int
    own_start: int
    own_end: int


def tile_side(tile: int | str | None, height: int, width: int) -> int | None:
    """The side of the tiles for an image of this size; None if the image is not split.

    Raises:
        InputError: ``tile`` is not an integer of at least :data:`MIN_TILE`, ``'auto'`` or None.
    """
    if tile == 'auto':
        tile = AUTO_TILE if max(height, GRID) * max(width, GRID) > AUTO_PIXELS else None  # short sides are padded
    if tile is None:
        return None
    if isinstance(tile, bool) or not isinstance(tile, int) or tile < MIN_TILE:
        raise InputError(f"tile={tile!r}: give the side of a tile in pixels, {MIN_TILE} or more, or 'auto'")
    return tile if max(height, width) > tile else None


def spans(length: int, tile: int, overlap: int = OVERLAP) -> list[Span]:
    """Split an axis into overlapping tiles; their own parts meet in the middle of the overlaps.

    Args:
        length: length of the axis, in pixels.
        tile: side of a tile; the last tile may be up to :data:`GRID` shorter.
        overlap: minimum overlap of neighbouring tiles, in pixels.

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
    """Detect in tiles of the image and of its downscaled copies, and merge the boxes by non-maximum suppression.

    From each tile, the boxes are kept whose centre is in the tile's own part and whose longer side is at most three
    quarters of the overlap; these are whole in the tile. The image downscaled by 2 provides the next larger boxes, and
    so on; the last copy, a single tile, provides all larger boxes.

    Args:
        image: ``(H, W, 3)`` uint8.
        detect: function that detects in up to ``batch_size`` tiles.
        tile: side of a tile in pixels.
        batch_size: maximum number of tiles per call of ``detect``.
        overlap: minimum overlap of neighbouring tiles, in pixels.
        iou_threshold: IoU threshold of the suppression, which is done per class.

    Returns:
        Boxes ``(N, 4)`` float32 in pixels of the image, scores ``(N,)`` float32, highest first, and labels ``(N,)`` if
        ``detect`` returns them.
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
        smallest = 0.75 * overlap / 4  # half of the previous limit at this scale, so that no size is missed
    return _merged(found, iou_threshold)


def stitch(image: np.ndarray, look: Callable[[np.ndarray], np.ndarray], tile: int | None) -> np.ndarray:
    """Apply ``look`` to each tile of an image ``(H, W, 3)``, or to the whole image (None), and join the own parts.

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
    """Whether box centres are in the tile's own part; ``slack``: a face's box differs slightly between two tiles."""
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    across = (x >= column.own_start - slack) & (x <= column.own_end + slack)
    return across & (y >= row.own_start - slack) & (y <= row.own_end + slack)


def _between(boxes: np.ndarray, smallest: float, largest: float) -> np.ndarray:
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    return (longer >= smallest) & (longer <= largest)


def _halved(image: np.ndarray) -> tuple[int, int]:
    return max(1, image.shape[1] // 2), max(1, image.shape[0] // 2)


def _merged(found: Sequence[tuple[np.ndarray, ...]], iou_threshold: float) -> tuple[np.ndarray, ...]:
    """Suppress duplicate boxes of all tiles; boxes are offset by class, so that classes do not suppress each other."""
    boxes, scores, *labels = (np.concatenate(column) for column in zip(*found, strict=True))
    boxes, scores = boxes.astype(np.float32), scores.astype(np.float32)
    if not len(boxes):
        return boxes, scores, *labels
    apart = boxes + labels[0][:, None].astype(np.float32) * (boxes.max() + 1) if labels else boxes
    rows, kept = nms(apart, scores, iou_threshold)
    return boxes[kept], rows[:, 4], *(each[kept] for each in labels)
