"""Panels beside each other, titles that fit, and a preview of the dark that shows something."""

import numpy as np
import pytest
import torch

from mmdark.drawing import GAP, HEADER, MAGENTA, WHITE, brighten, join_panels, pixels_of


def dark_ramp(peak: float) -> np.ndarray:
    """From black to a peak, most of it far below."""
    return (np.linspace(0, 1, 10000).reshape(100, 100, 1) ** 4).repeat(3, 2) * peak


@pytest.mark.parametrize('peak', [20.0, 120.0, 255.0])
def test_a_preview_has_its_mean_and_its_white(peak: float) -> None:
    dark = dark_ramp(peak)
    preview = brighten(dark)
    assert preview.dtype == np.uint8 and preview.shape == dark.shape
    white = np.percentile(dark, 99)
    assert (preview[dark >= white] == 255).all() and (preview[dark < 0.9 * white] < 255).all()
    assert preview.mean() / 255 == pytest.approx(0.36, abs=0.01)
    assert (np.diff(preview[..., 0].ravel().astype(int)) >= 0).all()


def test_bytes_and_floats_give_the_same_preview() -> None:
    dark = np.rint(dark_ramp(40)).astype(np.uint8)
    np.testing.assert_array_equal(brighten(dark), brighten(dark.astype(np.float32)))


def test_what_is_bright_is_only_stretched() -> None:
    image = np.arange(100, dtype=np.float32).reshape(10, 10, 1).repeat(3, 2) * 2
    white = np.percentile(image, 99)
    np.testing.assert_array_equal(brighten(image), np.rint(np.clip(image / white, 0, 1) * 255).astype(np.uint8))


def test_shadows_are_lifted_no_further_than_noise_allows() -> None:
    dark = np.zeros((100, 100, 3), np.float32)
    dark[:2], dark[50] = 200, 2
    assert brighten(dark)[50, 0].tolist() == [round(255 * (2 / 200) ** 0.4)] * 3


@pytest.mark.parametrize('value', [0.0, -3.0])
def test_brighten_leaves_black_black(value: float) -> None:
    assert brighten(np.full((4, 4, 3), value, np.float32)).max() == 0


def test_panels_stand_beside_each_other_under_their_titles() -> None:
    panels = [('light', np.full((40, 60, 3), 10, np.uint8)), ('dark', np.full((40, 90, 3), 20, np.uint8))]
    joined = join_panels(panels)
    assert joined.shape == (40 + HEADER, 60 + GAP + 90, 3)
    assert (joined[HEADER:, :60] == 10).all() and (joined[HEADER:, 60 + GAP :] == 20).all()
    assert (joined[:, 60 : 60 + GAP] == 255).all()
    for columns in (slice(0, 60), slice(60 + GAP, None)):
        assert joined[:HEADER, columns].max() > 200 and np.median(joined[:HEADER, columns]) == 32


@pytest.mark.parametrize('width', [60, 400])
def test_a_long_title_in_colours_is_made_to_fit(width: int) -> None:
    """Each piece in its colour, one after the other, and a free border at the right end."""
    title = [('dark: ', WHITE), ('predictions', (80, 220, 80)), (', ', WHITE), ('ground truth', MAGENTA)]
    header = join_panels([(title, np.zeros((10, width, 3), np.uint8))])[:HEADER].astype(int)
    painted = (header != 32).any((0, 2)).nonzero()[0]
    assert painted.min() >= 5 and painted.max() <= width - 5
    green = (header[..., 1] > header[..., 2] + 60).any(0).nonzero()[0]
    magenta = (header[..., 2] > header[..., 1] + 60).any(0).nonzero()[0]
    assert len(green) > 5 and len(magenta) > 5 and green.max() < magenta.min()


def test_pixels_of_an_rgb_image() -> None:
    image = torch.tensor([0.0, 0.5, 1.5])[:, None, None].expand(3, 2, 4)
    assert pixels_of(image).shape == (2, 4, 3) and pixels_of(image)[1, 3].tolist() == [255, 128, 0]
