"""Which face a box finds: against loops, against mmdet's overlaps, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import bbox_overlaps

from mmdark.errors import InputError
from mmdark.evaluation import matching
from mmdark.evaluation.matching import checked_rows, found_faces, match, overlap
from mmdark.evaluation.wider_protocol import integer_overlap

from .slow_protocols import double_iou, integer_iou


def random_boxes(seed: int, number: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    start = generator.integers(-4, 40, (number, 2)) / 4
    return np.column_stack([start, start + generator.integers(-3, 40, (number, 2)) / 4])


def test_overlap_equals_mmdets_with_one_pixel_more() -> None:
    boxes, faces = (random_boxes(seed, 300) for seed in (1, 2))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
    faces[:, 2:] = np.maximum(faces[:, 2:], faces[:, :2])
    more = np.array([0, 0, 1, 1])
    theirs = bbox_overlaps(torch.tensor(boxes + more), torch.tensor(faces + more), is_aligned=True)
    np.testing.assert_allclose(overlap(boxes, faces), theirs, atol=1e-12)
    plain = bbox_overlaps(torch.tensor(boxes), torch.tensor(faces))
    np.testing.assert_allclose(overlap(boxes[:, None], faces, border=0), plain, atol=1e-6)


@pytest.mark.parametrize('integers', [False, True])
def test_the_first_of_the_best_is_found(integers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the pairs do not fit into one comparison."""
    fast, slow = (integer_overlap, integer_iou) if integers else (overlap, double_iou)
    boxes, faces = random_boxes(3, 400), np.trunc(random_boxes(4, 25))
    expected = []
    for box in boxes:
        overlaps = [slow(face, box) for face in faces]
        expected.append(overlaps.index(max(overlaps)) if max(overlaps) >= 0.5 else -1)
    assert len(set(expected)) > 10 and -1 in expected
    assert found_faces(boxes, faces, fast).tolist() == expected
    monkeypatch.setattr(matching, '_PAIRS_AT_ONCE', 60)
    assert found_faces(boxes, faces, fast).tolist() == expected
    assert found_faces(boxes, faces[:0], fast).tolist() == [-1] * 400
    assert found_faces(boxes[:0], faces, fast).tolist() == []


def test_a_face_is_found_once_and_by_the_highest_score() -> None:
    face, other = np.array([0, 0, 9, 9.0]), np.array([50, 50, 70, 70.0])
    rows = np.array([[*face, 0.2], [*other, 0.4], [*face, 0.9], [*face, 0.9]])
    annotated = [np.array([face]), np.zeros((0, 4)), np.array([face]), np.array([other])]
    images = list(zip([rows, rows, rows[:0], rows], annotated, strict=True))
    found = match(images, overlap)
    assert found.scores.tolist() == [0.9, 0.9, 0.4, 0.2] * 3
    assert found.face.tolist() == [0, 0, -1, 0, *[-1] * 6, 2, -1]
    assert np.flatnonzero(found.is_first).tolist() == [0, 10]
    assert found.has_faces.tolist() == [True] * 4 + [False] * 4 + [True] * 4


@pytest.mark.filterwarnings('error')
def test_huge_boxes_find_nothing_quietly() -> None:
    huge = np.array([[-1e300, -1e300, 1e300, 1e300], [0, 0, 1e12, 1e12], [1e9, 1e9, 1e10, 1e10]])
    faces = np.array([[0, 0, 9, 9.0]])
    for rule in (overlap, integer_overlap):
        assert found_faces(huge, faces, rule).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ('rows', 'said'),
    [
        (np.zeros((2, 4)), r'predictions of a: expected rows of 5 numbers; got an array of shape \(2, 4\)'),
        (np.zeros(5), r'got an array of shape \(5,\)'),
        ([[1, 2, 3, 4, 5], [1, 2]], 'expected rows of 5 numbers; write every row'),
        ([[0, 0, 1, 1, 0.5], [0, 0, 1, 1, np.nan]], 'row 1 holds a value that is not a finite number'),
        ([[0, 0, np.inf, 1, 0.5]], 'row 0 holds a value'),
    ],
)
def test_rows_that_cannot_be_used_are_named(rows: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        checked_rows(rows, 5, 'predictions of a')
    assert checked_rows([], 5, '').shape == checked_rows(np.zeros((0, 4)), 5, '').shape == (0, 5)
