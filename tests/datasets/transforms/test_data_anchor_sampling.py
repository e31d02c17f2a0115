"""Data-anchor-sampling: against the naive way, on a drawn face, and in its distribution of scales."""

import cv2
import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes

import mmdark.register  # noqa: F401
from mmdark.datasets.transforms import DataAnchorSampling
from mmdark.datasets.transforms.data_anchor_sampling import AnchorWindow, cut_rescaled
from mmdark.datasets.transforms.random_interp_resize import INTERPOLATIONS

PAD = (104, 117, 123)


def results_of(boxes: list, img: np.ndarray, ignored: list[bool] | None = None) -> dict:
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return {
        'img': img,
        'img_shape': img.shape[:2],
        'gt_bboxes': HorizontalBoxes(boxes),
        'gt_bboxes_labels': np.arange(len(boxes)),
        'gt_ignore_flags': np.zeros(len(boxes), bool) if ignored is None else np.array(ignored),
    }


def painted(box: tuple[int, int, int, int], shape: tuple[int, int] = (300, 400)) -> np.ndarray:
    """A blue image with a red face."""
    img = np.full((*shape, 3), (255, 0, 0), np.uint8)
    img[box[1] : box[3], box[0] : box[2]] = (0, 0, 255)
    return img


def naive_cut(img: np.ndarray, window: AnchorWindow, left: int, top: int, size: int) -> np.ndarray:
    """Rescale the whole image, then cut, as published."""
    whole = cv2.resize(img, None, fx=window.scale, fy=window.scale, interpolation=window.interpolation)
    border = 4 * size
    frame = cv2.copyMakeBorder(whole, border, border, border, border, cv2.BORDER_CONSTANT, value=PAD)
    return frame[border + top :, border + left :][:size, :size]


@pytest.mark.parametrize('interpolation', INTERPOLATIONS)
@pytest.mark.parametrize('scale', [0.25, 0.5, 1.0, 1.5, 2.0, 5.0])
def test_same_as_rescaling_everything(scale: float, interpolation: int) -> None:
    rng = np.random.default_rng(1)
    img = cv2.GaussianBlur(rng.integers(0, 256, (152, 212, 3), dtype=np.uint8), (0, 0), 1)
    compared = 0
    for corner in ((-20, -30), (12, 15), (31.5, 28.5), (212 * scale - 20, 152 * scale - 33), (-200, 0)):
        window = AnchorWindow(scale, *map(float, corner), interpolation)
        cut, (left, top) = cut_rescaled(img, window, 64, PAD)
        assert cut.shape == (64, 64, 3)
        assert max(abs(left - window.left), abs(top - window.top)) <= 0.5
        if left == int(left) and top == int(top):
            expected = naive_cut(img, window, int(left), int(top), 64)
            assert np.abs(cut.astype(int) - expected).max() <= 2
            compared += 1
    assert compared >= 3


def test_the_box_encloses_the_painted_pixels() -> None:
    box = (150, 100, 210, 190)
    transform = DataAnchorSampling(input_size=160)
    np.random.seed(0)  # noqa: NPY002
    for _ in range(60):
        out = transform(results_of([box], painted(box)))
        assert out['img'].shape == (160, 160, 3) and out['img_shape'] == (160, 160)
        (x1, y1, x2, y2) = out['gt_bboxes'].numpy()[0]
        red = out['img'][..., 2].astype(int) - out['img'][..., 0] > 30
        ys, xs = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
        found = np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1])
        scale = out['scale_factor'][0]
        assert np.abs(found - np.clip([x1, y1, x2, y2], 0, 160)).max() <= 1.1 + scale / 2
        moved = out['homography_matrix'] @ [[150, 210], [100, 190], [1, 1]]
        np.testing.assert_allclose(moved[:2].T.ravel(), (x1, y1, x2, y2), atol=1e-2)


def test_the_side_lands_on_the_targets() -> None:
    """A face of side 60: nearest anchor 64 (index 2), so targets 16 to 128, times 2^U(-1, 1)."""
    transform = DataAnchorSampling()
    np.random.seed(0)  # noqa: NPY002
    faces = np.array([[100, 100, 150, 172]], np.float32)
    octaves = np.log2([transform._sample(faces, (480, 640)).scale * 60 for _ in range(3000)])
    assert octaves.min() >= 3 and octaves.max() <= 8
    shares = np.histogram(octaves, bins=[3, 4, 5, 6, 7, 8])[0] / len(octaves)
    np.testing.assert_allclose(shares, [1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8], atol=0.03)


def test_large_faces_always_get_a_window() -> None:
    transform = DataAnchorSampling(input_size=320)
    np.random.seed(0)  # noqa: NPY002
    img, box = np.zeros((700, 900, 3), np.uint8), [100, 50, 600, 690]
    for _ in range(100):
        out = transform(results_of([box], img))
        assert len(out['gt_bboxes']) == 1


def test_faces_are_filtered_with_their_labels() -> None:
    boxes = [
        [10, 10, 50, 50],
        [60, 60, 64, 64],
        [90, 20, 130, 60],
        [np.nan, 0, 1, 1],
        [60, 10, 20, 50],
        [10, 60, 40, 90],
    ]
    transform = DataAnchorSampling(input_size=100)
    results = results_of(boxes, np.zeros((200, 200, 3), np.uint8), ignored=[False] * 5 + [True])
    out = transform._apply(results, AnchorWindow(1.0, 0.0, 0.0, cv2.INTER_LINEAR))
    assert out['gt_bboxes_labels'].tolist() == [0, 5]  # 1 too small, 2 has its centre outside
    assert out['gt_ignore_flags'].tolist() == [False, True]


def test_pad_value_is_bgr_and_averaged_for_grey() -> None:
    window = AnchorWindow(1.0, -8.0, 0.0, cv2.INTER_LINEAR)
    assert cut_rescaled(np.zeros((8, 8, 3), np.uint8), window, 8, PAD)[0][0, 0].tolist() == list(PAD)
    for shape in ((8, 8), (8, 8, 1)):
        cut, _ = cut_rescaled(np.zeros(shape, np.uint8), window, 16, PAD)
        assert cut.shape == (16, 16, *shape[2:]) and cut[0, 0] == 114 and cut[0, 9] == 0


def test_no_face_to_aim_at() -> None:
    img = np.zeros((20, 20, 3), np.uint8)
    transform = DataAnchorSampling(input_size=64)
    assert transform({'img': img}) is None
    assert transform(results_of([], img)) is None
    assert transform(results_of([[np.nan, 0, 5, 5], [5, 5, 5, 9], [9, 9, 5, 5]], img)) is None
    assert transform(results_of([[2, 2, 9, 9]], img, ignored=[True])) is None


@pytest.mark.parametrize(
    ('shape', 'box'),
    [
        ((1, 1, 3), (0, 0, 1, 1)),
        ((1, 1, 3), (-900, -900, 900, 900)),
        ((1, 500), (3, 0, 4, 1)),
        ((5, 5, 3), (0, 0, 1e-3, 1e-3)),
    ],
)
def test_extreme_images_do_not_crash(shape: tuple[int, ...], box: tuple[float, ...]) -> None:
    np.random.seed(0)  # noqa: NPY002
    for _ in range(20):
        out = DataAnchorSampling(input_size=64)(results_of([box], np.zeros(shape, np.uint8)))
        assert out is None or out['img'].shape == (64, 64, *shape[2:])


def test_seeded() -> None:
    faces = np.array([[100, 100, 150, 172], [5, 5, 30, 30]], np.float32)
    transform, drawn = DataAnchorSampling(), []
    for _ in range(2):
        np.random.seed(7)  # noqa: NPY002
        drawn.append([transform._sample(faces, (480, 640)) for _ in range(5)])
    assert drawn[0] == drawn[1]
