"""The views of multi-scale testing against the published calls, and what each view must be whatever the image."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import Config

from mmdark.datasets.transforms import MultiScaleViews
from mmdark.datasets.transforms.multi_scale_views import (
    View,
    light_views,
    max_shrink,
    published_views,
    two_scales,
)

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT.parent / 'shared' / 'golden'
SIZES = [(1, 1), (40, 30), (720, 1080), (1333, 1342), (1500, 2000), (2400, 3000), (3000, 4000), (6000, 9000)]
PACK = Config.fromfile(ROOT / 'configs' / '_base_' / 'multi_scale_test.py').tta_pipeline[-1].transforms
every_size = pytest.mark.parametrize(('height', 'width'), SIZES)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f'golden numbers are not at {GOLDEN}')
def test_published_scales() -> None:
    for case in json.loads((GOLDEN / 'box_voting.json').read_text()):
        size = case['height'], case['width']
        views = published_views(*size)
        assert max_shrink(*size) == pytest.approx(case['max_shrink'], abs=1e-12)
        assert [view.scale for view in views] == pytest.approx(case['scales'], abs=1e-6)
        assert [index for index, view in enumerate(views) if view.flip] == [case['flipped_call']]
        assert sorted({view.group for view in views}) == list(range(len(case['kept'])))


@pytest.mark.parametrize(
    ('largest', 'shrunk', 'enlarged', 'pyramid'),
    [
        (3.0, [0.5, 0.75], [2.0, 1.5, 3.0], [1.25, 1.75, 2.25]),
        (2.25, [0.5, 0.75], [2.0, 1.5, 2.25], [1.25, 1.75, 2.25]),
        (2.1, [0.5, 0.75], [2.0, 1.5, 2.1], [1.25, 1.75]),
        (2.0, [0.5, 0.75], [2.0, 1.5], [1.25, 1.75]),  # not twice by two
        (1.75, [0.5, 0.75], [1.75, 1.5], [1.25, 1.75]),  # 1.75 twice
        (1.5, [0.5, 0.75], [1.5], [1.25]),
        (1.1, [0.5, 0.75], [1.1], []),
        (1.0, [0.5, 0.75], [0.75], []),  # 0.75 twice
        (0.75, [0.5], [0.625], []),
        (0.5, [0.25], [0.375], []),
    ],
)
def test_calls_by_the_largest_scale(
    largest: float, shrunk: list[float], enlarged: list[float], pyramid: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worked out by hand from the published script, its limits and repeats included."""
    monkeypatch.setattr(published_views.__module__ + '.max_shrink', lambda height, width: largest)
    views = published_views(100, 100)
    expected = [*shrunk, *enlarged, 0.25, *pyramid]
    assert [view.scale for view in views] == [1.0, 1.0, *expected]
    assert [view.group for view in views] == [0, 1] + [2] * len(shrunk) + [3] * len(enlarged) + [4] * (1 + len(pyramid))
    assert all(view.keep == ('all' if view.group < 2 else 'small' if view.scale > 1 else 'large') for view in views)


@every_size
@pytest.mark.parametrize('make', [published_views, light_views])
def test_what_holds_for_every_size(make: object, height: int, width: int) -> None:
    views = make(height, width)
    assert views[:2] == [View(1.0, False, 0, 'all'), View(1.0, True, 1, 'all')]
    assert not any(view.flip for view in views[2:]) and [view.group for view in views] == sorted(v.group for v in views)
    assert all(view.scale <= max(1.0, max_shrink(height, width)) for view in views)
    for view in views:
        assert view.scale <= 1 or view.scale**2 * height * width <= 0x7FFFFFFF / 200 * (1 + 1e-9)
        assert view.keep == ('small' if view.scale > 1 else 'large' if view.scale < 1 else 'all')
    assert make(width, height) == views


@pytest.mark.parametrize(
    ('size', 'enlarged'), [((768, 1024), 1.5), ((1054, 1054), 1.5), ((1250, 1250), 1.26491), ((3000, 4000), 1.0)]
)
def test_two_scales_bound_the_pixels(size: tuple[int, int], enlarged: float) -> None:
    small, large = two_scales(*size)
    assert small == View(0.5, False, 2, 'large') and large[1:] == (False, 3, 'small')
    assert large.scale == pytest.approx(enlarged, abs=1e-5) and two_scales(*size[::-1]) == [small, large]


@every_size
def test_light_views_are_published_ones_at_a_fifth_of_the_cost(height: int, width: int) -> None:
    light, published = light_views(height, width), published_views(height, width)
    assert set(light) <= set(published)
    if max_shrink(height, width) == 3:
        cost = [sum(view.scale**2 for view in views) for views in (light, published)]
        assert cost[0] < 0.22 * cost[1]


def results(dtype: type = np.uint8, height: int = 37, width: int = 50) -> dict:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(dtype)
    return {
        'img': image,
        'img_path': 'some/image.jpg',
        'img_id': 3,
        'img_shape': (height, width),
        'ori_shape': (height, width),
        'gt_bboxes': HorizontalBoxes([[4.0, 5.0, 20.0, 30.0]]),
        'gt_bboxes_labels': np.zeros(1, np.int64),
        'gt_ignore_flags': np.zeros(1, bool),
    }


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
@pytest.mark.parametrize('preset', ['published', 'light'])
def test_each_view_is_the_image_flipped_and_scaled(preset: str, dtype: type) -> None:
    given = results(dtype)
    before = given['img'].copy()
    made = TRANSFORMS.build(dict(type='MultiScaleViews', preset=preset, transforms=PACK))(given)
    assert (given['img'] == before).all() and given['img_shape'] == (37, 50)
    views = (published_views if preset == 'published' else light_views)(37, 50)
    assert set(made) == {'inputs', 'data_samples'} and len(made['inputs']) == len(made['data_samples']) == len(views)
    for view, inputs, sample in zip(views, made['inputs'], made['data_samples'], strict=True):
        size = round(37 * view.scale), round(50 * view.scale)
        seen = before[:, ::-1] if view.flip else before
        expected = cv2.resize(np.ascontiguousarray(seen), None, fx=view.scale, fy=view.scale)
        assert inputs.numpy().dtype == dtype and inputs.shape == (3, *size)
        assert (inputs.permute(1, 2, 0).numpy() == expected).all()
        meta = sample.metainfo
        assert (meta['img_shape'], meta['ori_shape'], meta['img_id']) == (size, (37, 50), 3)
        assert meta['scale_factor'] == pytest.approx((size[1] / 50, size[0] / 37))
        assert (meta['flip'], meta['flip_direction']) == (view.flip, 'horizontal' if view.flip else None)
        assert meta['keep'] == view.keep
        assert sample.gt_instances.bboxes.tensor.tolist() == [[4.0, 5.0, 20.0, 30.0]]
    assert len({id(sample.gt_instances) for sample in made['data_samples']}) == len(views)


def test_scaling_follows_the_scale_not_the_rounded_size() -> None:
    """A ramp of slope one: pixel i of the enlarged image lies at (i + 0.5) / scale - 0.5, up to OpenCV's 1/32 pixel."""
    ramp = np.repeat(np.arange(51, dtype=np.float32)[None, :, None], 3, axis=2).repeat(8, axis=0)
    transform = MultiScaleViews([])
    views = transform(dict(img=ramp, img_shape=(8, 51), ori_shape=(8, 51)))
    for image, view in zip(views['img'], published_views(8, 51), strict=True):
        if view.scale > 1:
            at = (np.arange(image.shape[1]) + 0.5) / view.scale - 0.5
            assert np.abs(image[0, :, 0] - at.clip(0, 50)).max() < 1 / 32


def test_an_earlier_scale_is_counted() -> None:
    """Boxes go back to the image before both: 100 x 74 pixels, of which the pipeline left 50 x 37."""
    given = results() | {'scale_factor': (0.5, 0.5), 'ori_shape': (74, 100)}
    made = MultiScaleViews(PACK)(given)
    for inputs, sample in zip(made['inputs'], made['data_samples'], strict=True):
        assert sample.scale_factor == pytest.approx((inputs.shape[2] / 100, inputs.shape[1] / 74))


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (1, 9), (2, 2)])
def test_the_smallest_images_keep_a_pixel(height: int, width: int) -> None:
    made = MultiScaleViews(PACK)(results(height=height, width=width))
    assert min(min(inputs.shape[1:]) for inputs in made['inputs']) == 1 or height > 1
    assert all(math.prod(inputs.shape) >= 3 for inputs in made['inputs'])


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(ValueError, match="unknown preset of views 'full'; choose one of published, light"):
        MultiScaleViews([], preset='full')
    assert "preset='light'" in repr(MultiScaleViews([], preset='light'))
