"""Detectors of others by files made by hand, whose faces are known; ours by what MMDetection finds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.face_finders import LOWEST_SCORE, exported, scrfd, trained, yunet
from mmdark.apis import load_config
from mmdark.deploy import export_onnx
from mmdark.errors import InputError
from mmdark.inference import FaceInferencer, shipped_weights
from tests.benchmarks.handmade_faces import score_of, write_scrfd, write_yunet
from tests.deploy.lite_detector import differences, in_mmdet, lite_detector, needs_ceil_mode
from tests.tiny_wider import ROOT

pytest.importorskip('onnx', reason='the extra onnx is not installed')
pytest.importorskip('onnxruntime', reason='the extra onnx is not installed')
APART = np.array([[1.0, 2, 3, 4], [-5, 2, 8, 4]])
"""Of two anchors of a cell, in strides: left, top, right and bottom of the centre, which is the cell's corner."""
ALIKE = np.array([[1.0, 2, 3, 4], [1, 2, 3, 4.2]])


def picture(*cells: tuple[int, int, int], red: int = 200) -> np.ndarray:
    """Grey, with red cells of (stride, row, column), and a blue one."""
    image = np.full((75, 110, 3), 100, np.uint8)
    image[64:72, 72:80] = (255, 0, 0)
    for stride, row, column in cells:
        image[row * stride : (row + 1) * stride, column * stride : (column + 1) * stride] = (0, 0, red)
    return image


@pytest.mark.parametrize(('stride', 'row', 'column'), [(8, 2, 5), (16, 1, 3), (32, 1, 0)])
def test_scrfd_is_decoded(tmp_path: Path, stride: int, row: int, column: int) -> None:
    found = scrfd(write_scrfd(tmp_path / 'a.onnx', APART), 1)(picture((stride, row, column))).rows
    x, y, score = column * stride, row * stride, score_of(200)
    wanted = [
        [x - 1 * stride, y - 2 * stride, x + 3 * stride, y + 4 * stride, score],
        [x + 5 * stride, y - 2 * stride, x + 8 * stride, y + 4 * stride, score],
    ]
    of_stride = found[
        np.isclose(found[:, 3] - found[:, 1], 6 * stride)
    ]  # smaller cells within the red one are lit, too
    np.testing.assert_allclose(of_stride[of_stride[:, 0].argsort()], wanted, atol=1e-4)
    assert 0.9 < score < 0.99 and (stride > 8 or len(found) == 2)


def test_scrfd_keeps_one_of_two_that_overlap(tmp_path: Path) -> None:
    path = write_scrfd(tmp_path / 'a.onnx', ALIKE)
    found = scrfd(path, 1)(picture((8, 2, 5))).rows
    np.testing.assert_allclose(found, [[32, 0, 64, 48, score_of(200)]], atol=1e-4)
    assert scrfd(path, 1)(picture((8, 2, 5), red=120)).rows.shape == (0, 5)


def test_a_file_that_states_one_size_takes_any(tmp_path: Path) -> None:
    free, stated = write_scrfd(tmp_path / 'a.onnx', APART), write_scrfd(tmp_path / 'b.onnx', APART, (640, 640))
    one, other = (scrfd(path, 1)(picture((32, 1, 0))) for path in (free, stated))
    np.testing.assert_array_equal(one.rows, other.rows)
    assert len(one.rows) > 3 and one.network_seconds > 0


def test_yunet_by_opencv(tmp_path: Path) -> None:
    find = yunet(write_yunet(tmp_path / 'a.onnx'))
    image = picture((8, 2, 5))
    for _ in range(2):
        found = find(image)
        np.testing.assert_allclose(found.rows, [[40 - 8, 16 - 4, 40 + 8, 16 + 4, score_of(200)]], atol=1e-3)
    assert found.network_seconds is None
    assert find(np.full((40, 50, 3), 100, np.uint8)).rows.shape == (0, 5)


@needs_ceil_mode
def test_a_file_of_ours_finds_what_mmdet_finds(tmp_path: Path) -> None:
    detector = lite_detector()
    export_onnx(detector, tmp_path / 'faces.onnx', check=False)
    photo = np.random.default_rng(0).integers(0, 256, (120, 161, 3), dtype=np.uint8)
    found = exported(tmp_path / 'faces.onnx', 1)(photo)
    ((boxes, scores),) = in_mmdet(detector, [photo])
    clipped = boxes.clip(0, [161, 120, 161, 120])
    box, score, matched = differences((clipped, scores), (found.rows[:, :4], found.rows[:, 4]))
    assert len(boxes) > 10 and box <= 0.5 and score <= 1e-3 and matched >= 0.98 and found.network_seconds > 0


def test_ours_in_torch_gives_what_a_threshold_would_leave_out() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    sure_alone = load_config('dsfd_dark_lite_wider', {'model.detector.test_cfg.score_thr': 0.25})
    weights = shipped_weights('dsfd_dark_lite_wider')
    found = trained(sure_alone, weights)(photo)
    plain = FaceInferencer(sure_alone, weights, 'cpu', show_progress=False)
    ((wanted, _),) = plain.stream([photo], pred_score_thr=0.0)
    sure = found.rows[found.rows[:, 4] > 0.25]
    np.testing.assert_array_equal(sure, np.column_stack([wanted.boxes, wanted.scores]))
    assert 0 < len(sure) < len(found.rows) and 0 < found.network_seconds < 60


def test_the_shipped_detector_runs_in_torch_at_the_size_of_the_image() -> None:
    photo = cv2.imread(str(ROOT / 'docs' / 'images' / 'dark_portraits.jpg'))
    found = trained(None, None)(photo)
    in_torch = FaceInferencer(device='cpu', show_progress=False, backend='torch')
    ((wanted, _),) = in_torch.stream([photo], pred_score_thr=LOWEST_SCORE, tta=False)
    np.testing.assert_array_equal(found.rows, np.column_stack([wanted.boxes, wanted.scores]))
    assert len(found.rows) > 1 and 0 < found.network_seconds < 60


def test_wrong_files_are_one_line(tmp_path: Path) -> None:
    faces, face = write_scrfd(tmp_path / 'a.onnx', APART), write_yunet(tmp_path / 'y.onnx')
    bare = write_scrfd(tmp_path / 'b.onnx', APART, without='bbox_16')
    text = tmp_path / 'text.onnx'
    text.write_text('no')
    for make, said in {
        lambda: yunet(tmp_path / 'no.onnx'): 'no.onnx does not exist',
        lambda: scrfd(tmp_path / 'no.onnx', 1): 'no.onnx does not exist',
        lambda: yunet(faces): 'a.onnx is no YuNet that OpenCV runs',
        lambda: yunet(text): 'text.onnx is no YuNet that OpenCV runs',
        lambda: scrfd(face, 1): 'y.onnx: the outputs are not those of SCRFD: at stride 8',
        lambda: scrfd(bare, 1): 'b.onnx: the outputs are not those of SCRFD: at stride 16',
        lambda: scrfd(text, 1): 'text.onnx is no ONNX file',
        lambda: exported(faces, 1): 'a.onnx is no file of mmdark export with its suppression',
        lambda: exported(text, 1): 'text.onnx is no ONNX file',
    }.items():
        with pytest.raises(InputError, match=said) as caught:
            make()
        assert '\n' not in str(caught.value)
