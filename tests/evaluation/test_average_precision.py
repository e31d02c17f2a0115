"""Against mmdet's area under the curve, the definition as loops, and facts of single precision."""

from __future__ import annotations

import numpy as np
import pytest
from mmdet.evaluation.functional.mean_ap import average_precision

from mmdark.errors import InputError
from mmdark.evaluation.average_precision import (
    exact_average_precision,
    normalised_scores,
    thresholded_average_precision,
)

from .slow_protocols import slow_area


def random_case(seed: int, number: int = 80) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.permutation(number) / number, generator.random(number) < 0.4


@pytest.mark.parametrize('seed', range(4))
def test_exact_equals_mmdets_area(seed: int) -> None:
    scores, is_true = random_case(seed)
    ours = exact_average_precision(scores, is_true, 50)
    ordered = is_true[np.argsort(-scores)]
    found = np.cumsum(ordered)
    recall, precision = found / 50, found / np.arange(1, len(found) + 1)
    np.testing.assert_allclose(ours.recall, recall)
    np.testing.assert_allclose(ours.precision, precision)
    theirs = average_precision(recall.astype(np.float32)[None], precision.astype(np.float32)[None], mode='area')
    assert ours.average_precision == pytest.approx(float(theirs[0]), abs=1e-6)


@pytest.mark.parametrize('seed', range(4))
def test_only_the_order_of_scores_matters_for_the_exact_one(seed: int) -> None:
    scores, is_true = random_case(seed)
    squashed = 0.5 + 1e-6 * scores
    assert exact_average_precision(squashed, is_true, 50)[2] == exact_average_precision(scores, is_true, 50)[2]
    official = [thresholded_average_precision(normalised_scores(s), is_true, 50)[2] for s in (scores, scores**40)]
    assert abs(official[0] - official[1]) > 1e-3


@pytest.mark.parametrize('seed', range(4))
def test_equal_scores_are_one_step(seed: int) -> None:
    scores, is_true = random_case(seed)
    scores = np.round(scores, 1)
    curve = exact_average_precision(scores, is_true, 50)
    points = [((is_true & (scores >= s)).sum() / 50, is_true[scores >= s].mean()) for s in np.unique(scores)]
    assert len(curve.recall) == len(points)
    assert curve.average_precision == pytest.approx(slow_area(points), abs=1e-12)
    order = np.random.default_rng(seed).permutation(len(scores))
    assert exact_average_precision(scores[order], is_true[order], 50)[2] == curve.average_precision


@pytest.mark.parametrize('seed', range(4))
def test_thresholds_are_counted_one_by_one(seed: int) -> None:
    scores, is_true = random_case(seed)
    curve = thresholded_average_precision(scores, is_true, 50)
    for t in (1, 2, 499, 500, 750, 999, 1000):
        above = scores >= 1 - t / 1000
        assert curve.recall[t - 1] == (is_true & above).sum() / 50
        assert np.isnan(curve.precision[t - 1]) if not above.any() else curve.precision[t - 1] == is_true[above].mean()
    points = [(r, p) for r, p in zip(curve.recall, curve.precision, strict=True) if p == p]
    assert curve.average_precision == pytest.approx(slow_area(points), abs=1e-12)


def test_nothing_detected_and_nothing_to_find() -> None:
    none = np.zeros(0)
    for curve in (exact_average_precision, thresholded_average_precision):
        assert curve(none, none, 3).average_precision == 0
        assert np.isnan(curve(np.ones(2), np.zeros(2), 0).average_precision)
        assert curve(np.ones(2), [True, True], 2).average_precision == 1


def test_scores_are_scaled_in_single_precision() -> None:
    """0.7 is less in single precision than in double, 0.1 more: which thresholds they pass depends on it."""
    scaled = normalised_scores(np.array([0.0, 1.0, 0.7, 0.1]))
    assert scaled.dtype == np.float64 and scaled[2] < 0.7 and scaled[3] > 0.1
    assert thresholded_average_precision(scaled[2:3], [True], 1).recall[299:301].tolist() == [0, 1]
    assert thresholded_average_precision(np.array([0.7]), [True], 1).recall[299:301].tolist() == [1, 1]


def test_scores_all_equal_or_all_negative() -> None:
    equal = np.full(3, 0.3)
    assert np.isnan(normalised_scores(equal)).all()
    np.testing.assert_allclose(normalised_scores(equal, equal_is_one=True), 1, atol=1e-6)
    assert thresholded_average_precision(normalised_scores(equal), [True] * 3, 3).average_precision == 0
    np.testing.assert_allclose(normalised_scores(np.array([-4.0, -1.0])), [0, 0.75])  # from -4 to realmin, nearly 0


@pytest.mark.parametrize(
    ('scores', 'is_true', 'num_faces', 'said'),
    [
        ([0.5], [True, False], 2, 'vectors of one length'),
        ([[0.5]], [[True]], 2, 'vectors of one length'),
        ([np.nan], [True], 2, 'not a finite number'),
        ([0.5, 0.4], [True, True], 1, '2 detections are true but there are 1 faces'),
    ],
)
def test_what_cannot_be_is_said(scores: list, is_true: list, num_faces: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        exact_average_precision(np.array(scores), np.array(is_true), num_faces)
