"""The check of the suppression finds each way of being wrong."""

import numpy as np
import pytest

from mmdark.deploy.suppression import Limits
from tests.deploy.suppression_fault import overlaps, suppression_fault

LIMITS = Limits(score_thr=0.5, nms_pre=4, iou_threshold=0.3, max_per_img=3)
BOXES = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10], [80, 0, 90, 10], [100, 0, 101, 9]], np.float32)[None]
SCORES = np.array([[0.9, 0.8, 0.7, 0.4, 0.1]], np.float32)


def found(*places: int) -> list[np.ndarray]:
    return [np.zeros(len(places), np.int64), BOXES[0, list(places)], SCORES[0, list(places)]]


def test_overlaps_by_hand() -> None:
    assert overlaps(BOXES[0, :1], BOXES[0, :3]) == pytest.approx(np.array([[1, 90 / 110, 0]]))


@pytest.mark.parametrize(
    ('places', 'fault'),
    [
        ((0, 2), None),
        ((0, 1, 2), 'two faces overlap'),
        ((0,), '1 faces are missing'),
        ((1, 2), '1 faces are missing'),
        ((2, 0), 'not sorted'),
        ((0, 2, 3), 'none of the candidates'),
        ((), '3 faces are missing'),
    ],
)
def test_each_fault_is_named(places: tuple[int, ...], fault: str | None) -> None:
    said = suppression_fault(found(*places), BOXES, SCORES, LIMITS)
    assert said is None if fault is None else fault in said


def test_the_numbers_of_faces_and_priors_are_limits() -> None:
    apart = BOXES[:, [0, 2, 3]]
    scores = np.array([[0.9, 0.8, 0.7]], np.float32)
    two = [np.zeros(2, np.int64), apart[0, :2], scores[0, :2]]
    three = [np.zeros(3, np.int64), apart[0], scores[0]]
    assert suppression_fault(two, apart, scores, LIMITS._replace(max_per_img=2)) is None
    assert 'has 3 faces' in suppression_fault(three, apart, scores, LIMITS._replace(max_per_img=2))
    assert suppression_fault(two, apart, scores, LIMITS._replace(nms_pre=2)) is None
    assert 'none of the candidates' in suppression_fault(three, apart, scores, LIMITS._replace(nms_pre=2))
