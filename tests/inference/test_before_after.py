"""A dark photograph stands untouched beside its brightened copy with the faces; what is dark is decided as measured."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmdark.dark_isp import darken, sample_noise, sample_parameters
from mmdark.drawing import GAP, brighten, draw_faces, pixels_of
from mmdark.errors import InputError
from mmdark.inference.before_after import before_after, is_dark, picture_of

from .face_results import result_of

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
RESULT = result_of('night.jpg', (20, 30, 60, 80, 0.9), (100, 40, 112, 55, 0.5), size=(160, 120))


def photograph(peak: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, peak, (120, 160, 3), np.uint8)


@pytest.mark.parametrize('peak', [20, 255])
def test_the_original_is_untouched_and_the_faces_are_on_the_brightened_copy(peak: int) -> None:
    image = photograph(peak)
    pair = before_after(image, RESULT)
    assert pair.shape == (120, 2 * 160 + GAP, 3) and pair.dtype == np.uint8
    np.testing.assert_array_equal(pair[:, :160], image)
    assert (pair[:, 160 : 160 + GAP] == 255).all()
    np.testing.assert_array_equal(pair[:, 160 + GAP :], draw_faces(brighten(image), RESULT.boxes, RESULT.scores))


@pytest.mark.parametrize('dark', [True, False, None])
@pytest.mark.parametrize('peak', [20, 255])
def test_a_person_decides_or_the_brightness_does(peak: int, dark: bool | None) -> None:
    image = photograph(peak)
    expected = peak == 20 if dark is None else dark
    picture = picture_of(image, RESULT, dark)
    wanted = before_after(image, RESULT) if expected else draw_faces(image, RESULT.boxes, RESULT.scores)
    np.testing.assert_array_equal(picture, wanted)


def test_the_threshold_is_on_the_mean() -> None:
    assert is_dark(np.full((9, 9, 3), 63, np.uint8)) and not is_dark(np.full((9, 9, 3), 64, np.uint8))
    large = np.zeros((2000, 3000, 3), np.uint8)
    large[:, 2000:] = 255
    assert not is_dark(large)  # 85


def test_a_result_of_another_image_is_refused() -> None:
    with pytest.raises(
        InputError, match=r'night\.jpg: its faces were found on 160 x 120 pixels, but the image has 9 x 8'
    ):
        picture_of(np.zeros((8, 9, 3), np.uint8), RESULT)


def test_day_and_dark_are_told_apart_as_often_as_is_written() -> None:
    """Of every tenth photograph of WIDER, as it is and darkened; real dark photographs are all dark."""
    paths = sorted((SHARED / 'wider').glob('WIDER_*/images/*/*.jpg'))[::10]
    if not paths:
        pytest.skip('shared/data/wider is not beside the repository')
    wrong_day = wrong_dark = 0
    for seed, path in enumerate(paths):
        day = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_4)
        wrong_day += is_dark(day)
        rgb = torch.from_numpy(day[..., ::-1].copy()).permute(2, 0, 1)[None] / 255
        generator = torch.Generator().manual_seed(seed)
        parameters = sample_parameters(1, generator=generator)
        wrong_dark += not is_dark(pixels_of(darken(rgb, parameters, sample_noise(rgb.shape, generator=generator))[0]))
    print(f'of {len(paths)}: {wrong_day} by day taken for dark, {wrong_dark} dark taken for day')
    assert wrong_day <= 0.1 * len(paths) and wrong_dark <= 0.03 * len(paths)
    for path in (SHARED / 'dark_photos').glob('*.[jp][pn]g'):
        assert is_dark(cv2.imread(str(path))), path
