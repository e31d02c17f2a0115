"""Brightening before detection, by its definition and its properties."""

import cv2
import numpy as np
import pytest

from mmdark.datasets.transforms import Brighten

METHODS = ('gamma', 'clahe')


@pytest.fixture
def dark() -> np.ndarray:
    generator = np.random.default_rng(0)
    smooth = cv2.resize(generator.random((6, 6, 3)), (96, 64), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return (smooth * 50).astype(np.uint8)


def brightened(image: np.ndarray, method: str) -> np.ndarray:
    return Brighten(method).transform(dict(img=image))['img']


def test_gamma_is_the_power_that_takes_the_mean_to_the_middle(dark: np.ndarray) -> None:
    ours = brightened(dark, 'gamma')
    grey = (dark @ np.array([0.114, 0.587, 0.299])).mean() / 255
    power = np.log(0.5) / np.log(grey)
    assert np.abs(ours - 255 * (dark / 255.0) ** power).max() < 2  # OpenCV's grey is rounded
    flat = np.full((8, 8, 3), 31, np.uint8)
    assert (brightened(flat, 'gamma') == 128).all()


def test_gamma_leaves_light_images_alone(dark: np.ndarray) -> None:
    assert (brightened(255 - dark, 'gamma') == 255 - dark).all()
    black = np.zeros((8, 8, 3), np.uint8)
    assert (brightened(black, 'gamma') == black).all()


def test_clahe_spreads_the_lightness_and_keeps_the_colours(dark: np.ndarray) -> None:
    before, after = (cv2.cvtColor(image, cv2.COLOR_BGR2LAB).astype(int) for image in (dark, brightened(dark, 'clahe')))
    assert after[..., 0].std() > 1.5 * before[..., 0].std() and after[..., 0].mean() > before[..., 0].mean()
    assert np.abs(after[..., 1:] - before[..., 1:]).mean() < 4


@pytest.mark.parametrize('method', METHODS)
def test_what_is_no_8_bit_image_is_rounded_first(dark: np.ndarray, method: str) -> None:
    near = dark + np.random.default_rng(1).uniform(-0.4, 0.4, dark.shape).astype(np.float32)
    assert (brightened(near, method) == brightened(dark, method)).all()
    assert brightened(np.full((8, 8, 3), 300.0, np.float32), method).dtype == np.uint8


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown method 'retinex'; choose one of gamma, clahe"):
        Brighten('retinex')
    assert repr(Brighten('clahe')) == "Brighten(method='clahe', clip_limit=3.0, tiles=8)"
