"""Faces that cannot be learnt from go, with all that belongs to them."""

import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes

import mmdark.register  # noqa: F401
from mmdark.datasets.transforms import KeepFaces

GOOD = [[10, 10, 20, 30], [90, 40, 130, 60]]
BAD = [
    [np.nan, 1, 2, 3],
    [1, 1, np.inf, 3],
    [5, 5, 5, 9],  # no width
    [9, 9, 5, 5],  # negative sides
    [100, 10, 120, 20],  # right of the image
    [10, -20, 20, 0],  # above it
]


def results_of(boxes: list, ignored: list[bool] | None = None, shape: tuple[int, ...] = (80, 100, 3)) -> dict:
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return {
        'img': np.zeros(shape, np.uint8),
        'gt_bboxes': HorizontalBoxes(boxes),
        'gt_bboxes_labels': np.arange(len(boxes)),
        'gt_ignore_flags': np.zeros(len(boxes), bool) if ignored is None else np.array(ignored),
    }


def test_bad_boxes_go_and_labels_follow() -> None:
    out = KeepFaces()(results_of([GOOD[0], *BAD, GOOD[1]], ignored=[False] * 7 + [True]))
    np.testing.assert_array_equal(out['gt_bboxes'].numpy(), GOOD)
    assert out['gt_bboxes_labels'].tolist() == [0, 7]
    assert out['gt_ignore_flags'].tolist() == [False, True]


def test_clip_comes_before_min_size() -> None:
    boxes = [[-10, 10, 20, 30], [95, 40, 130, 60]]
    assert len(KeepFaces(min_size=6)(results_of(boxes))['gt_bboxes']) == 2
    out = KeepFaces(min_size=6, clip=True)(results_of(boxes))
    np.testing.assert_array_equal(out['gt_bboxes'].numpy(), [[0, 10, 20, 30]])


def test_min_size_looks_at_both_sides() -> None:
    out = KeepFaces(min_size=6)(results_of([[0, 0, 6, 6], [0, 0, 5.9, 50], [0, 0, 50, 5.9]]))
    assert out['gt_bboxes_labels'].tolist() == [0]


@pytest.mark.parametrize('boxes', [[], BAD])
def test_empty(boxes: list) -> None:
    assert len(KeepFaces()(results_of(boxes))['gt_bboxes']) == 0
    assert KeepFaces(allow_empty=False)(results_of(boxes)) is None


def test_ignored_faces_do_not_count() -> None:
    assert KeepFaces(allow_empty=False)(results_of(GOOD, ignored=[True, True])) is None
    assert KeepFaces(allow_empty=False)(results_of(GOOD, ignored=[True, False])) is not None


def test_without_annotations_and_with_plain_arrays() -> None:
    assert KeepFaces()({'img': np.zeros((2, 2, 3))}).keys() == {'img'}
    out = KeepFaces()({'img': np.zeros((80, 100)), 'gt_bboxes': np.array([*GOOD, *BAD], np.float32)})
    assert isinstance(out['gt_bboxes'], np.ndarray) and out['gt_bboxes'].shape == (2, 4)


def test_one_pixel_image() -> None:
    out = KeepFaces(clip=True)(results_of([[0, 0, 1, 1], [1, 1, 2, 2]], shape=(1, 1, 3)))
    assert out['gt_bboxes_labels'].tolist() == [0]
