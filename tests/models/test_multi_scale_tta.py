"""Multi-scale testing against what the authors' script printed, and with a detector that finds bright rectangles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdark.datasets.transforms import MultiScaleViews
from mmdark.datasets.transforms.multi_scale_views import published_views
from mmdark.errors import InputError
from mmdark.models import MultiScaleTTA, multi_scale_tta

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT.parent / 'shared' / 'golden'
CONFIG = Config.fromfile(ROOT / 'configs' / '_base_' / 'multi_scale_test.py')


class Told(nn.Module):
    """Finds what it was told, an entry a view: rows of x1 y1 x2 y2 score, and the label where it is not 0."""

    def __init__(self, rows: Sequence[Tensor]) -> None:
        super().__init__()
        self.rows = list(rows)

    def test_step(self, data: dict) -> list[DetDataSample]:
        rows = self.rows.pop(0)
        (sample,) = data['data_samples']
        labels = rows[:, 5].long() if rows.shape[1] > 5 else torch.zeros(len(rows), dtype=torch.long)
        sample.pred_instances = InstanceData(bboxes=rows[:, :4], scores=rows[:, 4], labels=labels)
        return [sample]


def batch(height: int, width: int, views: Sequence[tuple[bool, str]]) -> dict:
    """What the data loader gives for one image; no detector here looks at the pixels."""
    samples = []
    for flip, keep in views:
        direction = 'horizontal' if flip else None
        meta = dict(ori_shape=(height, width), flip=flip, flip_direction=direction, keep=keep)
        samples.append([DetDataSample(metainfo=meta)])
    return dict(inputs=[[torch.zeros(3, 1, 1)]] * len(samples), data_samples=samples)


def joined(found: InstanceData) -> np.ndarray:
    return torch.cat([found.bboxes, found.scores[:, None]], 1).numpy()


@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f'golden numbers are not at {GOLDEN}')
@pytest.mark.parametrize('index', range(4))
def test_published_merging(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From raw detections of each call to what goes into the vote, by groups, and what comes out of it."""
    case, arrays = json.loads((GOLDEN / 'box_voting.json').read_text())[index], np.load(GOLDEN / 'box_voting.npz')
    views = published_views(case['height'], case['width'])
    given: list[tuple[Tensor, ...]] = []
    voting = multi_scale_tta.box_voting

    def recorded(*args: object) -> tuple[Tensor, Tensor]:
        given.append(args)
        return voting(*args)

    monkeypatch.setattr(multi_scale_tta, 'box_voting', recorded)
    raw = [torch.from_numpy(arrays[f'raw_{index}_{call}']) for call in range(len(views))]
    model = MultiScaleTTA(module=Told(raw), drop_singletons=True)
    data = batch(case['height'], case['width'], [(view.flip, view.keep) for view in views])
    (merged,) = model.test_step(data)

    into_vote = torch.cat([given[0][0], given[0][1][:, None]], 1).numpy()
    np.testing.assert_allclose(into_vote, arrays[f'merged_in_{index}'], rtol=0, atol=1e-4)
    counts = [0] * len(case['kept'])
    for view, (sample,) in zip(views, data['data_samples'], strict=True):
        counts[view.group] += len(model._contribution(sample)[0]) if view.group else len(raw[0])
    assert counts == case['kept']
    np.testing.assert_allclose(joined(merged.pred_instances), arrays[f'voted_{index}'], rtol=0, atol=1e-4)
    assert merged is data['data_samples'][0][0] and merged.pred_instances.labels.tolist() == [0] * case['voted']


def test_flipped_views_are_flipped_back_in_pixels_of_the_original_image() -> None:
    face = torch.tensor([[10.0, 20.0, 40.0, 60.0, 0.5]])
    mirrored = torch.tensor([[60.0, 20.0, 90.0, 60.0, 0.7]])  # in an image 100 pixels wide
    model = MultiScaleTTA(module=Told([face, mirrored]))
    (merged,) = model.test_step(batch(80, 100, [(False, 'all'), (True, 'all')]))
    np.testing.assert_allclose(joined(merged.pred_instances), [[10, 20, 40, 60, 0.7]], rtol=1e-6)


def test_boxes_mostly_outside_and_nested_ones_are_a_switch() -> None:
    """The largest box comes from a view that is smaller than the largest anchors; cut, it covers half the image."""
    rows = torch.tensor([[353.0, -350, 1350, 736, 0.31], [379, 189, 404, 224, 0.93], [359, 181, 408, 248, 0.74]])
    views = [(False, 'all'), (True, 'large')]
    nothing = torch.zeros(0, 5)
    (all_kept,) = MultiScaleTTA(module=Told([rows, nothing])).test_step(batch(720, 1080, views))
    assert len(all_kept.pred_instances) == 3
    model = MultiScaleTTA(module=Told([nothing, rows]), min_inside=0.5, max_nested=0.8)
    (plausible,) = model.test_step(batch(720, 1080, views))
    np.testing.assert_allclose(joined(plausible.pred_instances), [[676, 189, 701, 224, 0.93]], rtol=1e-6)


def test_each_view_keeps_its_sizes_and_singletons_are_a_switch() -> None:
    rows = torch.tensor([[0.0, 0.0, 20.0, 20.0, 0.9], [50.0, 50.0, 250.0, 250.0, 0.8]])
    views = [(False, 'large'), (False, 'small')]
    (kept,) = MultiScaleTTA(module=Told([rows, rows])).test_step(batch(300, 300, views))
    np.testing.assert_allclose(joined(kept.pred_instances), rows.numpy())
    (dropped,) = MultiScaleTTA(module=Told([rows, rows]), drop_singletons=True).test_step(batch(300, 300, views))
    assert len(dropped.pred_instances) == 0
    (one,) = MultiScaleTTA(module=Told([rows, rows]), max_per_img=1).test_step(batch(300, 300, views))
    np.testing.assert_allclose(joined(one.pred_instances), rows[:1].numpy())
    apart = torch.tensor([[0.0, 0.0, 20.0, 20.0, 0.9], [4.0, 0.0, 24.0, 20.0, 0.8]])  # overlap by two thirds
    for threshold, found in ((0.6, 1), (0.7, 2)):
        model = MultiScaleTTA(module=Told([apart]), iou_threshold=threshold)
        assert len(model.test_step(batch(300, 300, [(False, 'all')]))[0].pred_instances) == found


def test_an_image_without_detections_gets_empty_instances() -> None:
    nothing = torch.zeros(0, 5)
    (merged,) = MultiScaleTTA(module=Told([nothing] * 2)).test_step(batch(8, 8, [(False, 'all'), (True, 'large')]))
    found = merged.pred_instances
    assert found.bboxes.shape == (0, 4) and found.scores.shape == found.labels.shape == (0,)
    assert found.labels.dtype == torch.long


def test_a_view_that_does_not_say_what_it_keeps_is_refused() -> None:
    data = batch(8, 8, [(False, 'all')])
    data['data_samples'] = [[DetDataSample(metainfo=dict(ori_shape=(8, 8), flip=False))]]
    with pytest.raises(InputError, match=r"add 'keep' to the meta_keys of PackDetInputs$"):
        MultiScaleTTA(module=Told([torch.zeros(0, 5)])).test_step(data)


class Bright(nn.Module):
    """Frames the pixels above half of the brightest, in pixels of the original image; counts what it holds at once."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def test_step(self, data: dict) -> list[DetDataSample]:
        (image,), (sample,) = data['inputs'], data['data_samples']
        self.seen.append(tuple(image.shape[1:]))
        rows, columns = torch.nonzero(image.float().mean(0) > image.max() / 2).T
        corners = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        boxes = corners[None].float() / torch.tensor(sample.scale_factor * 2)
        sample.pred_instances = InstanceData(bboxes=boxes, scores=torch.tensor([0.5]), labels=torch.tensor([0]))
        return [sample]


def test_classes_vote_apart() -> None:
    """A box of another class neither moves one nor suppresses it; the best of all classes come first."""
    first = torch.tensor([[10.0, 10, 20, 20, 0.5, 2], [11, 10, 21, 20, 0.9, 0], [50, 50, 60, 60, 0.3, 2]])
    second = torch.tensor([[10.0, 10, 20, 22, 0.5, 2]])
    model = MODELS.build(dict(CONFIG.tta_model, module=Told([first, second]), max_per_img=2))
    (merged,) = model.test_step(batch(100, 100, [(False, 'all'), (False, 'all')]))
    assert merged.pred_instances.labels.tolist() == [0, 2]
    np.testing.assert_allclose(joined(merged.pred_instances), [[11, 10, 21, 20, 0.9], [10, 10, 20, 21, 0.5]], rtol=1e-6)


@pytest.mark.parametrize('preset', ['published', 'light'])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_views_and_merging_agree_on_where_a_face_is(dtype: type, preset: str) -> None:
    """From the pixels through the views, the loader's collation and the config's model back to one box."""
    image = np.zeros((160, 200, 3), dtype)
    image[40:100, 120:184] = 200
    views = MultiScaleViews(CONFIG.tta_pipeline[-1].transforms, preset=preset)
    data = pseudo_collate([views(dict(img=image, img_shape=(160, 200), ori_shape=(160, 200)))])
    model = MODELS.build(dict(CONFIG.tta_model, module=Bright()))
    (merged,) = model.test_step(data)
    found = merged.pred_instances
    assert len(found) == 1 and found.scores.tolist() == [0.5]
    np.testing.assert_allclose(found.bboxes[0].numpy(), [120, 40, 184, 100], atol=0.6)
    assert len(model.module.seen) == len(data['inputs']) == (11 if preset == 'published' else 3)
    assert model.module.seen[0] == (160, 200) and (320, 400) in model.module.seen


def test_nms_keeps_the_better_of_two_boxes_as_it_is() -> None:
    """Boxes 1 and 2 overlap by 0.6, 1 and 3 by 0.25; the second class keeps its own."""
    rows = [
        torch.tensor([[0.0, 0, 10, 10, 0.5, 0], [0, 0, 10, 10, 0.3, 1]]),
        torch.tensor([[0.0, 0, 10, 6, 0.9, 0], [0, 6, 10, 10, 0.4, 0]]),
    ]
    tta = MultiScaleTTA(merge='nms', iou_threshold=0.45, module=Told(rows))
    (merged,) = tta.test_step(batch(20, 20, [(False, 'all')] * 2))
    expected = [[0, 0, 10, 6, 0.9], [0, 6, 10, 10, 0.4], [0, 0, 10, 10, 0.3]]
    assert joined(merged.pred_instances).tolist() == np.array(expected, np.float32).tolist()
    (empty,) = MultiScaleTTA(merge='nms', module=Told([torch.zeros(0, 5)])).test_step(batch(20, 20, [(False, 'all')]))
    assert len(empty.pred_instances) == 0
    with pytest.raises(ValueError, match="merge='mean': give 'voting' or 'nms'"):
        MultiScaleTTA(merge='mean', module=Told([]))
