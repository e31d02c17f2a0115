"""Against the official numbers, and against the official arithmetic written as loops over single numbers."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mmdark.errors import InputError
from mmdark.evaluation.wider_protocol import WiderGroundTruth, evaluate_wider, integer_overlap, load_wider_ground_truth

from .official_faces import OFFICIAL, WIDER, corners, official_predictions, random_data, write_ground_truth
from .slow_protocols import integer_iou, slow_official

needs_wider = pytest.mark.skipif(not WIDER.is_dir(), reason=f'the official ground truth is not at {WIDER}')


@needs_wider
def test_the_official_numbers() -> None:
    """In six digits, quickly and in little memory; 1 s of work, the rest is for a busy machine."""
    predictions, truth = official_predictions(), load_wider_ground_truth(WIDER)
    tracemalloc.start()  # the peak of the whole process would count what other tests took
    started = time.process_time()
    scores = evaluate_wider(predictions, truth)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - started < 6 and peak < 2**29
    for subset, official in OFFICIAL.items():
        assert scores[subset].official.average_precision == pytest.approx(official, abs=6e-7)
        assert scores[subset].exact.average_precision == pytest.approx(official, abs=1e-3)
        assert len(scores[subset].official.recall) == 1000
    assert [score.num_faces for score in scores.values()] == [7211, 13319, 31958]


def expected(predictions: dict, truth: WiderGroundTruth, subset: str) -> float:
    boxes = {key: corners(rows) for key, rows in predictions.items()}
    faces = {key: corners(rows) for key, rows in truth.faces.items()}
    kept = {key: set(rows.tolist()) for key, rows in truth.kept[subset].items()}
    return slow_official(boxes, faces, kept, integers=True)


@pytest.mark.parametrize('seed', range(6))
def test_random_data_against_loops(seed: int) -> None:
    """Edges at halves, tiny and turned boxes, images without faces, without a file and with an empty one."""
    predictions, faces, kept = random_data(seed)
    truth = WiderGroundTruth(faces, kept)
    for subset, score in evaluate_wider(predictions, truth).items():
        assert score.official.average_precision == pytest.approx(expected(predictions, truth, subset), abs=1e-12)
        assert score.num_faces == sum(map(len, kept[subset].values()))


def test_integer_overlap_against_loops() -> None:
    generator = np.random.default_rng(0)
    boxes = np.round(generator.normal(5, 6, (4000, 4)) * 8) / 8
    boxes[:, 2:] = boxes[:, :2] + np.abs(boxes[:, 2:]) / generator.choice([1, 4, 16], (4000, 1)) - 0.5
    faces = np.trunc(generator.normal(5, 6, (4000, 4)))
    faces[:, 2:] = np.trunc(boxes[:, 2:] + generator.integers(-1, 2, (4000, 2)))
    faces[:, :2] = np.trunc(boxes[:, :2] + generator.integers(-1, 2, (4000, 2)))
    slow = [integer_iou(face, box) for face, box in zip(faces, boxes, strict=True)]
    assert {0, 1, 2, 2**31 - 1} <= set(slow)  # tiny boxes reach more than 1
    assert integer_overlap(boxes, faces).tolist() == slow


def test_the_first_face_with_enough_overlap_is_found_not_the_nearest() -> None:
    """The second face is the very box, but the first reaches 0.5 in integers, too, and is found."""
    faces = {'a/b': np.array([[0, 0, 19, 9], [0, 0, 9, 9]])}
    predictions = {'a/b': np.array([[0, 0, 9, 9, 0.9], [90, 0, 9, 9, 0.1]])}
    truth = WiderGroundTruth(faces, {'first': {'a/b': np.array([0])}, 'second': {'a/b': np.array([1])}})
    scores = evaluate_wider(predictions, truth)
    assert scores['first'].official.average_precision == 1 and scores['second'].official.average_precision == 0


def test_what_the_official_tool_passes_over() -> None:
    predictions, faces, kept = random_data(1)
    truth = WiderGroundTruth(faces, kept)
    before = evaluate_wider(predictions, truth)
    strangers = {'x/y': np.array([[0, 0, 5, 5, 99.0]])}  # would change the scaling of scores
    shuffled = {key: rows[np.random.default_rng(0).permutation(len(rows))] for key, rows in predictions.items()}
    for after in (evaluate_wider({**predictions, **strangers}, truth), evaluate_wider(shuffled, truth)):
        assert [s.official.average_precision for s in after.values()] == [
            s.official.average_precision for s in before.values()
        ]
    without_faces = next(key for key, rows in faces.items() if not len(rows))
    more = {**predictions, without_faces: np.array([[0, 0, 5, 5, 0.5]])}
    assert evaluate_wider(more, truth)['hard'].exact.precision.tolist() == before['hard'].exact.precision.tolist()
    more[without_faces][0, 4] = 50.0  # does not count, but takes part in the scaling
    changed = evaluate_wider(more, truth)['hard']
    assert changed.official.average_precision == pytest.approx(expected(more, truth, 'hard'), abs=1e-12)
    assert changed.official.average_precision < before['hard'].official.average_precision


def test_equal_scores_everywhere_and_no_detections() -> None:
    predictions, faces, kept = random_data(2)
    truth = WiderGroundTruth(faces, kept)
    equal = {key: np.column_stack([rows[:, :4], np.full(len(rows), 0.3)]) for key, rows in predictions.items()}
    scores = evaluate_wider(equal, truth)
    assert all(score.official.average_precision == 0 < score.exact.average_precision for score in scores.values())
    assert all(score.exact.average_precision == 0 for score in evaluate_wider({}, truth).values())


def test_ground_truth_is_read_as_written(tmp_path: Path) -> None:
    _, faces, kept = random_data(3)
    truth = load_wider_ground_truth(write_ground_truth(tmp_path, faces, kept))
    assert list(truth.faces) == list(faces)
    for key, rows in faces.items():
        assert truth.faces[key].dtype == np.int32
        np.testing.assert_array_equal(truth.faces[key], rows)
        for subset in kept:
            np.testing.assert_array_equal(truth.kept[subset][key], kept[subset][key])


def change(path: Path, **variables: object) -> None:
    saved = {key: value for key, value in loadmat(path).items() if not key.startswith('_')}
    savemat(path, {key: value for key, value in {**saved, **variables}.items() if value is not None})


BREAKS = {
    'there is no folder': lambda folder: [path.unlink() for path in folder.iterdir()] and folder.rmdir(),
    'wider_hard_val.mat is not there': lambda folder: (folder / 'wider_hard_val.mat').unlink(),
    'wider_face_val.mat is not a mat file': lambda folder: (folder / 'wider_face_val.mat').write_bytes(b'MATLAB' * 99),
    'wider_easy_val.mat is not a mat file': lambda folder: (folder / 'wider_easy_val.mat').write_bytes(b''),
    'has no gt_list': lambda folder: change(folder / 'wider_easy_val.mat', gt_list=None),
    'lists other images': lambda folder: change(
        folder / 'wider_easy_val.mat', event_list=loadmat(folder / 'wider_easy_val.mat')['event_list'][::-1].copy()
    ),
    'event_list, file_list, face_bbx_list do not belong together': lambda folder: change(
        folder / 'wider_face_val.mat', file_list=np.eye(3)
    ),
    'face_bbx_list do not belong together': lambda folder: change(
        folder / 'wider_face_val.mat', face_bbx_list=np.eye(2)
    ),
    'names face 99 of': lambda folder: change(folder / 'wider_easy_val.mat', gt_list=wrong_rows(folder, 99.0)),
    'names face 0 of': lambda folder: change(folder / 'wider_easy_val.mat', gt_list=wrong_rows(folder, 0.0)),
}


def wrong_rows(folder: Path, row: float) -> np.ndarray:
    rows = loadmat(folder / 'wider_easy_val.mat')['gt_list']
    rows[0, 0][0, 0] = np.array([[row]])
    return rows


@pytest.mark.parametrize('said', BREAKS)
def test_a_damaged_ground_truth_is_named_in_one_line(said: str, tmp_path: Path) -> None:
    _, faces, kept = random_data(4)
    folder = write_ground_truth(tmp_path / 'mats', faces, kept)
    BREAKS[said](folder)
    with pytest.raises(InputError, match=said) as caught:
        load_wider_ground_truth(folder)
    assert '\n' not in str(caught.value) and 'eval_tools' in str(caught.value) and str(folder) in str(caught.value)


def test_predictions_that_cannot_be_used_are_named() -> None:
    truth = WiderGroundTruth({'a/b': np.array([[0, 0, 9, 9]])}, {'easy': {'a/b': np.array([0])}})
    with pytest.raises(InputError, match='predictions of a/b: row 0 holds'):
        evaluate_wider({'a/b': np.array([[0, 0, 9, 9, np.nan]])}, truth)
