"""The square crops and the resize that follows them."""

import cv2
import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes

import mmdark.register  # noqa: F401
from mmdark.datasets.transforms import RandomInterpResize, RandomSquareCrop
from mmdark.datasets.transforms.random_interp_resize import INTERPOLATIONS


def results_of(boxes: list, img: np.ndarray) -> dict:
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return {
        'img': img,
        'gt_bboxes': HorizontalBoxes(boxes),
        'gt_bboxes_labels': np.arange(len(boxes)),
        'gt_ignore_flags': np.zeros(len(boxes), bool),
    }


def test_windows_are_square_inside_and_hold_a_face() -> None:
    faces = np.array([[20, 30, 60, 80], [150, 90, 170, 110]], np.float32)
    np.random.seed(0)  # noqa: NPY002
    transform, sides = RandomSquareCrop(), []
    for _ in range(500):
        x1, y1, x2, y2 = transform._sample(faces, (120, 200))
        assert x2 - x1 == y2 - y1 and min(x1, y1) >= 0 and x2 <= 200 and y2 <= 120
        assert any(x1 <= a and y1 <= b and c <= x2 and d <= y2 for a, b, c, d in faces)
        sides.append(x2 - x1)
    assert min(sides) < 45 and min(sides) >= 36
    assert 0.15 < np.mean(np.array(sides) == 120) < 0.35  # one candidate of five, a little more where others fail


def test_faces_move_with_the_pixels() -> None:
    rng = np.random.default_rng(0)
    img = rng.integers(0, 256, (120, 200, 3), dtype=np.uint8)
    boxes = [[20, 30, 60, 80], [95, 40, 115, 60], [150, 90, 170, 110], [np.nan, 1, 2, 3]]
    out = RandomSquareCrop()._apply(results_of(boxes, img), (10, 20, 110, 120))
    np.testing.assert_array_equal(out['img'], img[20:120, 10:110])
    assert out['img_shape'] == (100, 100)
    np.testing.assert_array_equal(out['gt_bboxes'].numpy(), [[10, 10, 50, 60], [85, 20, 105, 40]])
    assert out['gt_bboxes_labels'].tolist() == [0, 1]
    np.testing.assert_array_equal(out['homography_matrix'] @ [20, 30, 1], [10, 10, 1])


def test_a_face_too_large_for_any_square_keeps_the_whole_image() -> None:
    img = np.zeros((50, 200, 3), np.uint8)
    out = RandomSquareCrop()(results_of([[20, 5, 150, 45]], img))
    assert out['img'].shape == img.shape and len(out['gt_bboxes']) == 1


def test_no_face() -> None:
    img = np.zeros((50, 200, 3), np.uint8)
    assert RandomSquareCrop()({'img': img}) is None
    assert RandomSquareCrop()(results_of([], img)) is None
    assert RandomSquareCrop()(results_of([[500, 500, 600, 600]], img)) is None


@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 1), (1, 9, 1)])
def test_one_pixel_and_grey(shape: tuple[int, ...]) -> None:
    out = RandomSquareCrop()(results_of([[0, 0, 1, 1]], np.zeros(shape, np.uint8)))
    out = RandomInterpResize(input_size=16)(out)
    assert out['img'].shape == (16, 16, *shape[2:])
    assert len(out['gt_bboxes']) == 1


def test_resize_stretches_image_and_boxes() -> None:
    img = np.random.default_rng(0).integers(0, 256, (50, 200, 3), dtype=np.uint8)
    np.random.seed(0)  # noqa: NPY002
    out = RandomInterpResize(input_size=100)(results_of([[20, 5, 150, 45], [-9, 0, 30, 70]], img))
    assert out['img_shape'] == (100, 100) and out['scale_factor'] == (0.5, 2.0)
    np.testing.assert_allclose(out['gt_bboxes'].numpy(), [[10, 10, 75, 90], [0, 0, 15, 100]])
    np.testing.assert_allclose(out['homography_matrix'] @ [20, 5, 1], [10, 10, 1])


def test_each_interpolation_is_used() -> None:
    img = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    expected = [cv2.resize(img, (64, 64), interpolation=kind) for kind in INTERPOLATIONS]
    np.random.seed(0)  # noqa: NPY002
    seen = set()
    for _ in range(60):
        out = RandomInterpResize(input_size=64)({'img': img})['img']
        seen |= {i for i, other in enumerate(expected) if np.array_equal(out, other)}
    assert seen == set(range(5))
