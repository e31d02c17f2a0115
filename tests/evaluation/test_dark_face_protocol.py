"""Against the official number, and against the official arithmetic written as loops over single numbers."""

from __future__ import annotations

import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.evaluation.dark_face_protocol import evaluate_dark_face

from .official_faces import DARK_FACE, corners, official_dark_faces, random_data
from .slow_protocols import slow_official


@pytest.mark.skipif(not DARK_FACE.is_dir(), reason=f'golden numbers are not at {DARK_FACE}')
def test_the_official_number() -> None:
    score = evaluate_dark_face(*official_dark_faces())
    assert score.official.average_precision == pytest.approx(0.648250, abs=6e-7)
    assert score.num_faces == 679


@pytest.mark.parametrize('seed', range(6))
def test_random_data_against_loops(seed: int) -> None:
    predictions, faces, _ = random_data(seed)
    predictions = {key: corners(rows) for key, rows in predictions.items()}
    faces = {key: corners(rows) for key, rows in faces.items()}
    score = evaluate_dark_face(predictions, faces)
    expected = slow_official(predictions, faces, None, integers=False)
    assert score.official.average_precision == pytest.approx(expected, abs=1e-12) and expected > 0.1
    assert score.num_faces == sum(map(len, faces.values()))


def test_equal_scores_everywhere_count_as_one() -> None:
    """Unlike in WIDER FACE's tool; the exact curve is one point, and so is the official."""
    predictions, faces, _ = random_data(2)
    predictions, faces = ({key: corners(rows) for key, rows in part.items()} for part in (predictions, faces))
    for rows in predictions.values():
        rows[:, 4] = 0.3
    score = evaluate_dark_face(predictions, faces)
    expected = slow_official(predictions, faces, None, integers=False)
    assert score.official.average_precision == pytest.approx(expected, abs=1e-12)
    assert score.official.average_precision == pytest.approx(score.exact.average_precision) and expected > 0


def test_no_face_gives_nan_and_odd_rows_are_named() -> None:
    found = {'1': np.array([[0, 0, 9, 9, 0.5]])}
    assert np.isnan(evaluate_dark_face(found, {'1': np.zeros((0, 4))}).official.average_precision)
    with pytest.raises(InputError, match=r'faces of 1: expected rows of 4 numbers; got an array of shape \(1, 5\)'):
        evaluate_dark_face(found, {'1': np.zeros((1, 5))})
    with pytest.raises(InputError, match='predictions of 1: expected rows of 5 numbers'):
        evaluate_dark_face({'1': np.zeros((2, 4))}, {'1': np.zeros((1, 4))})
