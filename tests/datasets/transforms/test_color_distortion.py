"""Every elementary function against Pillow, with which the published detectors were trained."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

import mmdark.register  # noqa: F401
from mmdark.datasets.transforms import ColorDistortion
from mmdark.datasets.transforms.color_distortion import (
    ColorParameters,
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    distort_color,
    shift_hue,
)


@pytest.fixture
def img() -> np.ndarray:
    """A colourful BGR image with smooth parts, noise, black, white and grey."""
    rng = np.random.default_rng(0)
    img = cv2.GaussianBlur(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), (0, 0), 3)
    img = cv2.normalize(img, None, 0, 255, cv2.NORM_MINMAX)
    img[:20] = rng.integers(0, 256, (20, 80, 3), dtype=np.uint8)
    img[-6:-4], img[-4:-2], img[-2:] = 0, 255, 99
    return img


def pillow(enhancer: type, img: np.ndarray, factor: float) -> np.ndarray:
    return np.asarray(enhancer(Image.fromarray(img[..., ::-1])).enhance(factor))[..., ::-1]


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b.astype(int))


@pytest.mark.parametrize('factor', [0.875, 0.95, 1.0, 1.125, 2.0])
def test_brightness(img: np.ndarray, factor: float) -> None:
    assert difference(adjust_brightness(img, factor), pillow(ImageEnhance.Brightness, img, factor)).max() == 0


@pytest.mark.parametrize('factor', [0.5, 0.77, 1.0, 1.23, 1.5])
def test_contrast(img: np.ndarray, factor: float) -> None:
    assert difference(adjust_contrast(img, factor), pillow(ImageEnhance.Contrast, img, factor)).max() == 0


@pytest.mark.parametrize('factor', [0.5, 0.77, 1.0, 1.23, 1.5])
def test_saturation(img: np.ndarray, factor: float) -> None:
    error = difference(adjust_saturation(img, factor), pillow(ImageEnhance.Color, img, factor))
    assert error.max() <= 1 and error.mean() < 0.01


@pytest.mark.parametrize('shift', [-18, -5, 7, 18])
def test_hue(img: np.ndarray, shift: int) -> None:
    hsv = np.array(Image.fromarray(img[..., ::-1]).convert('HSV'))
    hsv[..., 0] += np.uint8(shift % 256)
    expected = np.asarray(Image.fromarray(hsv, mode='HSV').convert('RGB'))[..., ::-1]
    error = difference(shift_hue(img, shift), expected)
    assert error.mean() < 2 and np.quantile(error, 0.99) <= 6
    assert difference(img, expected).mean() > 2 * error.mean()


def test_hue_goes_round_the_circle() -> None:
    red = np.full((2, 2, 3), (0, 0, 255), np.uint8)
    blue, _, back = (shift_hue(red, shift)[0, 0].astype(int) for shift in (-256 / 3, 0, 256))
    assert blue[0] == 255 and blue[2] < 10
    np.testing.assert_array_equal(back, (0, 0, 255))


def test_order(img: np.ndarray) -> None:
    values = {'brightness': 1.1, 'contrast': 1.4, 'saturation': 0.6, 'hue': 9.0}
    second = adjust_contrast(adjust_brightness(img, 1.1), 1.4)
    second = shift_hue(adjust_saturation(second, 0.6), 9.0)
    last = adjust_contrast(shift_hue(adjust_saturation(adjust_brightness(img, 1.1), 0.6), 9.0), 1.4)
    np.testing.assert_array_equal(distort_color(img, ColorParameters(**values)), second)
    np.testing.assert_array_equal(distort_color(img, ColorParameters(**values, contrast_last=True)), last)


def test_nothing_drawn_changes_nothing_and_the_input_stays(img: np.ndarray) -> None:
    before = img.copy()
    np.testing.assert_array_equal(distort_color(img, ColorParameters()), img)
    distort_color(img, ColorParameters(1.1, 1.4, 0.6, 9.0))
    np.testing.assert_array_equal(img, before)


def test_drawings_are_in_range_and_seeded() -> None:
    transform = ColorDistortion()
    np.random.seed(3)  # noqa: NPY002
    drawn = [transform._sample() for _ in range(2000)]
    for name, low, high in [
        ('brightness', 0.875, 1.125),
        ('contrast', 0.5, 1.5),
        ('saturation', 0.5, 1.5),
        ('hue', -18, 18),
    ]:
        values = [getattr(parameters, name) for parameters in drawn]
        given = np.array([value for value in values if value is not None])
        assert abs(len(given) / len(values) - 0.5) < 0.05
        assert low <= given.min() < low + 0.05 * (high - low) and high - 0.05 * (high - low) < given.max() <= high
    assert abs(np.mean([parameters.contrast_last for parameters in drawn]) - 0.5) < 0.05
    np.random.seed(3)  # noqa: NPY002
    assert [transform._sample() for _ in range(5)] == drawn[:5]


@pytest.mark.parametrize('shape', [(5, 4), (5, 4, 1), (1, 1, 3), (1, 1)])
def test_grey_and_one_pixel(shape: tuple[int, ...]) -> None:
    img = np.full(shape, 120, np.uint8)
    out = distort_color(img, ColorParameters(1.1, 1.4, 0.6, 9.0))
    assert out.shape == shape and out.dtype == np.uint8


def test_floats_are_refused() -> None:
    with pytest.raises(TypeError, match='uint8'):
        ColorDistortion()({'img': np.zeros((2, 2, 3), np.float32)})
