"""DarkISP where it is put wrongly: it darkens, the pair stays a pair, or one line names the step and the remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

import mmdark  # noqa: F401
from mmdark.datasets.transforms import DarkISP
from mmdark.errors import InputError

PAIR = [{'type': 'DarkISP'}, {'type': 'PackDarkPair'}]
FLIP = {'type': 'RandomFlip', 'prob': 1.0}
SMALLER = {'type': 'Resize', 'scale': (32, 32)}
CROP = {'type': 'RandomCrop', 'crop_size': (24, 24), 'allow_negative_crop': True}


def results_of(image: np.ndarray | None = None) -> dict[str, Any]:
    """A photograph that is bright on its left, where its face is."""
    if image is None:
        image = np.random.default_rng(0).integers(20, 90, (48, 64, 3), dtype=np.uint8)
        image[:, :32] += 120
    return dict(
        img=image,
        img_id=1,
        img_path='a.jpg',
        img_shape=image.shape[:2],
        ori_shape=image.shape[:2],
        gt_bboxes=np.array([[4.0, 8.0, 20.0, 30.0]], np.float32),
        gt_bboxes_labels=np.zeros(1, np.int64),
        gt_ignore_flags=np.zeros(1, bool),
    )


def through(*steps: dict | list, results: dict | None = None) -> dict[str, Any]:
    init_default_scope('mmdet')
    np.random.seed(0)  # noqa: NPY002
    boxes = {'type': 'LoadAnnotations', 'with_bbox': True, 'with_label': True}
    results = results or results_of()
    results['instances'] = [dict(bbox=[4.0, 8.0, 20.0, 30.0], bbox_label=0, ignore_flag=0)]
    return Compose([boxes, *steps])(results)


@pytest.mark.parametrize('keep_light', [True, False])
def test_a_plain_pipeline_gets_the_dark_image(keep_light: bool) -> None:
    """Also where the light image is kept; and what follows acts on the dark one."""
    darken = {'type': 'DarkISP', 'seed': 0, 'keep_light': keep_light}
    day = results_of()['img']
    dark = through(darken, {'type': 'PackDetInputs'})['inputs']
    expected = DarkISP(seed=0).apply(day, *DarkISP(seed=0).sample(results_of()))
    assert np.array_equal(dark.numpy(), expected.transpose(2, 0, 1))
    assert dark.mean() < 0.6 * day.mean()
    flipped = through(darken, FLIP, {'type': 'PackDetInputs'})
    assert torch.equal(flipped['inputs'], dark.flip(2))
    assert flipped['data_samples'].gt_instances.bboxes.tensor.tolist() == [[44, 8, 60, 30]]


def test_steps_before_it_act_on_both_images() -> None:
    plain, flipped = (through(*before, *PAIR)['inputs'] for before in ([], [FLIP]))
    assert torch.equal(flipped['light'], plain['light'].flip(2))
    left, right = flipped['dark'].split(32, dim=2)
    assert right.mean() > left.mean() + 3


@pytest.mark.parametrize(
    ('between', 'names'),
    [
        ([FLIP], 'RandomFlip'),
        ([SMALLER], 'Resize'),
        ([CROP], 'RandomCrop'),
        ([FLIP, CROP], 'RandomFlip, RandomCrop'),
        ([{'type': 'RandomChoice', 'transforms': [[SMALLER], [SMALLER]]}], 'Resize, Resize'),
        ([{'type': 'RandomApply', 'transforms': [FLIP], 'prob': 1.0}], 'RandomFlip'),
        ([{'type': 'Normalize', 'mean': [0.0] * 3, 'std': [1.0] * 3}], 'Normalize'),
        ([{'type': 'RandomAffine'}], 'RandomAffine'),
        ([{'type': 'RandomShift', 'prob': 1.0, 'max_shift_px': 3}], 'RandomShift'),
        ([{'type': 'Pad', 'size_divisor': 32}], 'Pad'),
    ],
)
def test_steps_between_it_and_the_pair_are_refused_by_name(between: list, names: str) -> None:
    with pytest.raises(InputError, match=f'^{names} between DarkISP and PackDarkPair changed the dark image but not'):
        through(*PAIR[:1], *between, *PAIR[1:])


def test_steps_are_named_behind_a_choice_of_darkness() -> None:
    choice = {'type': 'RandomChoice', 'transforms': [[{'type': 'DarkISP', 'preset': 'maet'}], [{'type': 'DarkISP'}]]}
    with pytest.raises(InputError, match=r'^RandomFlip between DarkISP and PackDarkPair'):
        through(SMALLER, choice, FLIP, PAIR[1])
    assert through(SMALLER, choice, PAIR[1])['inputs']['dark'].mean() < 60
    half = {'type': 'RandomChoice', 'transforms': [[FLIP, PAIR[1]]]}
    with pytest.raises(InputError, match=r'^RandomFlip between DarkISP and PackDarkPair'):
        through(SMALLER, PAIR[0], half)


def test_steps_between_that_leave_the_image_alone_pass() -> None:
    packed = through(PAIR[0], {**FLIP, 'prob': 0.0}, {'type': 'KeepFaces', 'min_size': 30}, PAIR[1])
    assert len(packed['data_samples'].gt_instances) == 0
    assert torch.equal(packed['inputs']['light'], through(*PAIR)['inputs']['light'])


def test_a_pair_without_darkness_is_refused() -> None:
    line = '^PackDarkPair needs DarkISP with keep_light=True, the default, before it in the pipeline'
    for before in ([], [{'type': 'DarkISP', 'keep_light': False}]):
        with pytest.raises(InputError, match=line):
            through(*before, PAIR[1])


def test_darkness_is_not_doubled() -> None:
    with pytest.raises(InputError, match=r'a\.jpg: two DarkISP in one pipeline'):
        through(PAIR[0], *PAIR)
    with pytest.raises(InputError, match='two DarkISP'):
        through({**PAIR[0], 'keep_light': False}, SMALLER, *PAIR)


def test_mosaic_of_a_pair_is_refused_and_of_dark_images_is_dark() -> None:
    def mosaic(*after: dict) -> dict:
        tiles = [through(PAIR[0]) for _ in range(3)]
        mixed = {**through(PAIR[0]), 'mix_results': tiles}
        return Compose([{'type': 'Mosaic', 'img_scale': (64, 64), 'pad_val': 0.0}, *after])(mixed)

    with pytest.raises(InputError, match='changed the dark image but not the light one'):
        mosaic(PAIR[1])
    assert mosaic({'type': 'PackDetInputs'})['inputs'].mean() < 60


NORMALIZE = {'type': 'Normalize', 'mean': [123.7, 116.3, 103.5], 'std': [58.4, 57.1, 57.4], 'to_rgb': True}
PHOTO = results_of()['img']
NAN = np.full((8, 8, 3), 100, np.float32)
NAN[3, 4, 1] = np.nan


@pytest.mark.parametrize(
    ('image', 'line'),
    [
        (PHOTO[..., 0], r'needs \(H, W, 3\) uint8 or float, not \(48, 64\) uint8'),
        (PHOTO[..., :1], r'not \(48, 64, 1\) uint8'),
        (np.concatenate([PHOTO, PHOTO[..., :1]], 2), r'not \(48, 64, 4\) uint8'),
        (PHOTO.astype(np.uint16) * 257, r'not \(48, 64, 3\) uint16'),
        (PHOTO.astype(np.int64), r'not \(48, 64, 3\) int64'),
        (PHOTO > 100, r'not \(48, 64, 3\) bool'),
        (PHOTO.astype(np.float32) / 255, 'needs pixels from 0 to 255, not from 0.07843 to 0.8196'),
        (PHOTO.astype(np.float64) * 257, 'not from 5140 to 5.371e'),
        ((PHOTO.astype(np.float32) - 116) / 57, 'not from -1.684 to 1.632'),
        (NAN, 'not from nan to nan'),
        (torch.zeros(3, 4, 4), 'finds no image; put it after what loads one and before what packs it'),
    ],
)
def test_an_image_it_cannot_darken_is_refused(image: Any, line: str) -> None:
    with pytest.raises(InputError, match=rf'^a\.jpg: DarkISP .*{line}'):
        DarkISP().transform(dict(img=image, img_path='a.jpg'))


def test_behind_normalize_it_is_refused() -> None:
    with pytest.raises(InputError, match=r'^a\.jpg: DarkISP comes after Normalize; put it before'):
        through(NORMALIZE, *PAIR)


def test_behind_packing_it_is_refused() -> None:
    with pytest.raises(InputError, match='DarkISP finds no image'):
        through({'type': 'PackDetInputs'}, PAIR[0])


def test_floats_on_the_scale_of_pixels_are_darkened() -> None:
    """Also black ones, once the scale is known; of a photograph at night a crop may hold nothing brighter."""
    step = DarkISP(seed=0)

    def dark(image: np.ndarray) -> np.ndarray:
        return step.transform(dict(img=image, img_path='a.jpg'))['img']

    assert np.abs(dark(PHOTO.astype(np.float32)) - dark(PHOTO)).max() < 0.01
    black = np.zeros((8, 8, 3), np.float32)
    DarkISP().transform(dict(img=black))
    assert np.abs(dark(black + 0.5) - dark(black)).max() < 2 and dark(black).max() < 100
    with pytest.raises(InputError, match=r'not from 0\.5 to 0\.5'):
        DarkISP().transform(dict(img=black + 0.5))


def test_a_seed_needs_a_file_name() -> None:
    for results in (dict(img=PHOTO), dict(img=PHOTO, img_path=None)):
        with pytest.raises(InputError, match=r'DarkISP\(seed=0\) draws the darkness from the file name, and the image'):
            DarkISP(seed=0).transform(results)
