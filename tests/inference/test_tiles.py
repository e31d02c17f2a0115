"""Tiles cover an image, hold every face whole, and find each once."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.inference.tiles import AUTO_PIXELS, AUTO_TILE, GRID, MIN_TILE, detect_in_tiles, spans, stitch, tile_side


@pytest.mark.parametrize('tile', [384, 500, 640, 1280])
@pytest.mark.parametrize('length', [1, 383, 384, 385, 641, 1000, 1153, 4096, 30001])
def test_spans_cover_overlap_and_share_out(length: int, tile: int) -> None:
    found = spans(length, tile, 128)
    assert found[0].start == found[0].own_start == 0 and found[-1].end == found[-1].own_end == length
    for span in found:
        assert span.end - span.start <= tile and span.start % GRID == 0
        assert span.start <= span.own_start < span.own_end <= span.end
    for one, following in pairwise(found):
        assert one.end - following.start >= 128 and one.own_end == following.own_start
        assert min(one.end - one.own_end, following.own_start - following.start) >= 64


def faces(height: int, width: int, sides: list[int], seed: int = 0) -> np.ndarray:
    """Squares that do not touch, at random places: ``(N, 4)`` x1, y1, x2, y2."""
    generator = np.random.default_rng(seed)
    boxes: list[tuple[int, int, int, int]] = []
    for side in sorted(sides, reverse=True):
        for _ in range(1000):
            x, y = generator.integers(0, width - side), generator.integers(0, height - side)
            if all(x > b[2] + 8 or x + side < b[0] - 8 or y > b[3] + 8 or y + side < b[1] - 8 for b in boxes):
                boxes.append((x, y, x + side, y + side))
                break
    assert len(boxes) == len(sides)
    return np.array(boxes, np.float32)


class Oracle:
    """Finds the bright squares of an image, cut ones too, as a detector does: what is below 6 pixels is not seen."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, images: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        self.seen += [(len(images), *image.shape[:2]) for image in images]
        return [self.squares(image) for image in images]

    @staticmethod
    def squares(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count, _, stats, _ = cv2.connectedComponentsWithStats((image[..., 0] > 127).astype(np.uint8))
        boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:count] if min(w, h) >= 6]
        found = np.array(boxes, np.float32).reshape(-1, 4)
        return found, (found[:, 2] - found[:, 0]) / 10000


def picture(height: int, width: int, boxes: np.ndarray) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    for x1, y1, x2, y2 in boxes.astype(int):
        image[y1:y2, x1:x2] = 255
    return image


def ordered(boxes: np.ndarray) -> np.ndarray:
    return boxes[np.lexsort(boxes.T)]


@pytest.mark.parametrize(('height', 'width', 'tile'), [(2100, 3300, 640), (700, 2600, 384), (1800, 1801, 896)])
def test_every_face_is_found_once_whatever_its_size(height: int, width: int, tile: int) -> None:
    """As on the whole image: small faces on the very pixel; those of shrunk views as near as they can be."""
    sides = [*range(8, 96, 4), 96, 100, 120, 128, 150, 192, 200, 300, 400, 600]
    boxes = faces(height, width, sides)
    image, oracle = picture(height, width, boxes), Oracle()
    whole, _ = Oracle.squares(image)
    assert (ordered(whole) == ordered(boxes)).all()
    found, scores = detect_in_tiles(image, oracle, tile, batch_size=3)
    assert len(found) == len(boxes)
    assert (np.diff(scores) <= 0).all()
    order = np.abs(boxes[:, None] - found[None]).sum(axis=2).argmin(axis=1)
    assert len(set(order)) == len(boxes)
    error = np.abs(found[order] - boxes).max(axis=1)
    side = boxes[:, 2] - boxes[:, 0]
    assert (error[side <= 48] == 0).all() and (error <= np.maximum(2, 0.05 * side)).all()
    assert max(max(h, w) for _, h, w in oracle.seen) <= tile and max(count for count, _, _ in oracle.seen) <= 3


def test_faces_on_every_border_of_the_tiles() -> None:
    """A face of up to three quarters of the overlap, at each place across a border, found once and exactly."""
    for offset in range(300, 660, 7):
        for side in (12, 48, 95):
            box = np.array([[offset, offset + 11, offset + side, offset + 11 + side]], np.float32)
            found, _ = detect_in_tiles(picture(1100, 1100, box), Oracle(), 640)
            assert found.shape == (1, 4) and np.abs(found - box).max() <= (0 if side <= 48 else 2)


def test_an_image_within_a_tile_is_seen_as_it_is() -> None:
    boxes = faces(600, 640, [20, 300])
    oracle = Oracle()
    found, _ = detect_in_tiles(picture(600, 640, boxes), oracle, 640)
    assert oracle.seen == [(1, 600, 640)] and (ordered(found) == ordered(boxes)).all()
    nothing, scores = detect_in_tiles(np.zeros((900, 900, 3), np.uint8), oracle, 640)
    assert nothing.shape == (0, 4) and scores.shape == (0,)


def test_the_cost_beside_one_look_at_the_whole() -> None:
    oracle = Oracle()
    detect_in_tiles(np.zeros((6000, 8000, 3), np.uint8), oracle, AUTO_TILE)
    assert sum(h * w for _, h, w in oracle.seen) < 2.0 * 6000 * 8000


def test_stitched_pictures_have_no_seams() -> None:
    """A local look (a blur of 31 pixels) at tiles is the look at the whole."""
    image = np.random.default_rng(0).integers(0, 256, (900, 1300, 3), np.uint8)

    def blurred(seen: np.ndarray) -> np.ndarray:
        return cv2.blur(seen, (31, 31), borderType=cv2.BORDER_REFLECT)

    assert (stitch(image, blurred, 640) == blurred(image)).all()
    assert (stitch(image, lambda seen: blurred(seen)[..., 0], 384) == blurred(image)[..., 0]).all()


def test_which_side() -> None:
    assert tile_side(None, 9999, 9999) is None
    assert tile_side('auto', 2048, 2048) is None and AUTO_PIXELS == 2048 * 2048
    assert tile_side('auto', 2048, 2049) == AUTO_TILE
    assert tile_side(640, 640, 500) is None and tile_side(640, 641, 500) == 640
    for wrong in (0, MIN_TILE - 1, -5, 640.0, 'large', True):
        with pytest.raises(InputError, match='tile='):
            tile_side(wrong, 10, 10)
