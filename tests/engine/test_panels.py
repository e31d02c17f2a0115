"""The parts of a picture: boxes where they should be, titles that fit, colours that mean something."""

import numpy as np
import pytest
import torch

from mmdark.engine.panels import (
    GAP,
    GREEN,
    HEADER,
    MAGENTA,
    WHITE,
    brighten,
    draw_boxes,
    draw_detections,
    join_panels,
    pixels_of,
    reflectance_of,
)
from tests.models.tiny_models import tiny_dai_net, tiny_dsfd


def test_brighten_makes_the_99th_percentile_white() -> None:
    image = np.arange(100, dtype=np.float32).reshape(10, 10, 1).repeat(3, 2) / 10
    out = brighten(image)
    assert out.dtype == np.uint8 and out.shape == image.shape and out[9, 9].tolist() == [255] * 3
    white = np.percentile(image, 99)
    np.testing.assert_array_equal(out, np.clip(image / white * 255, 0, 255).astype(np.uint8))


@pytest.mark.parametrize('value', [0.0, -3.0])
def test_brighten_leaves_black_black(value: float) -> None:
    assert brighten(np.full((4, 4, 3), value, np.float32)).max() == 0


def test_detections_are_framed_where_they_are_and_the_image_stays() -> None:
    image = np.full((200, 200, 3), 7, np.uint8)
    drawn = draw_detections(image, np.array([[50.0, 60.0, 120.0, 150.0]]), np.array([0.87]))
    assert (image == 7).all() and drawn.shape == image.shape
    for x, y in ((50, 100), (120, 100), (80, 150), (100, 60)):
        assert drawn[y, x].tolist() == list(GREEN)
    assert (drawn[100:140, 60:110] == 7).all()
    ys, xs = np.nonzero((drawn == GREEN).all(2))
    assert (xs.min(), xs.max(), ys.max()) == (49, 121, 151)  # lines of two pixels around the edge
    assert ys.min() < 58  # the score stands above the box


@pytest.mark.parametrize('box', [[-30, -30, 500, 500], [0, 0, 3, 3], [190, 190, 199, 199], [5.5, 5.5, 5.5, 5.5]])
def test_boxes_at_and_beyond_the_border(box: list[float]) -> None:
    drawn = draw_detections(np.zeros((200, 200, 3), np.uint8), np.array([box], float), np.array([1.0]))
    assert drawn.shape == (200, 200, 3) and drawn.any()


def test_no_detection_changes_nothing() -> None:
    image = np.full((5, 5, 3), 9, np.uint8)
    np.testing.assert_array_equal(draw_detections(image, np.zeros((0, 4)), np.zeros(0)), image)


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
    title = [('dark: ', WHITE), ('predictions', GREEN), (', ', WHITE), ('ground truth', MAGENTA)]
    header = join_panels([(title, np.zeros((10, width, 3), np.uint8))])[:HEADER].astype(int)
    painted = (header != 32).any((0, 2)).nonzero()[0]
    assert painted.min() >= 5 and painted.max() <= width - 5
    green = (header[..., 1] > header[..., 2] + 60).any(0).nonzero()[0]
    magenta = (header[..., 2] > header[..., 1] + 60).any(0).nonzero()[0]
    assert len(green) > 5 and len(magenta) > 5 and green.max() < magenta.min()


def test_faces_are_framed_in_their_colour_and_small_ones_thinly() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    drawn = draw_boxes(image, np.array([[10.0, 10.0, 30.0, 30.0], [60.0, 60.0, 160.0, 160.0]]), MAGENTA)
    assert not image.any() and drawn[20, 10].tolist() == list(MAGENTA) and drawn[100, 160].tolist() == list(MAGENTA)
    assert not drawn[20, 11].any() and drawn[100, 59].any()  # one pixel wide, and more


def test_pixels_of_an_rgb_image() -> None:
    image = torch.tensor([0.0, 0.5, 1.5])[:, None, None].expand(3, 2, 4)
    assert pixels_of(image).shape == (2, 4, 3) and pixels_of(image)[1, 3].tolist() == [255, 128, 0]


def test_the_reflectance_is_the_decoders() -> None:
    model = tiny_dai_net('none')
    assert reflectance_of(model, torch.rand(3, 64, 64)) is None is reflectance_of(tiny_dsfd(), torch.rand(3, 64, 64))
    model, image = tiny_dai_net('max_rgb'), torch.rand(3, 64, 96)
    with torch.no_grad():
        rgb = model.reflectance_decoder(model.backbone.stem(image[None]), (64, 96))[0].permute(1, 2, 0).numpy()
    assert np.abs(reflectance_of(model, image)[..., ::-1] / 255 - rgb).max() <= 0.5 / 255 + 1e-6
