"""Packing a pair: mmdet's own packing for the light image, the same layout for the dark one."""

from __future__ import annotations

import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes

from mmdark.datasets.transforms import PackDarkPair


def results_of() -> dict:
    rng = np.random.default_rng(0)
    light, dark = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8), rng.random((6, 9, 3), dtype=np.float32) * 300 - 20
    return dict(
        img=dark,
        light_img=light,
        dark_img=dark,
        img_id=4,
        img_path='a.jpg',
        img_shape=(6, 9),
        ori_shape=(12, 18),
        scale_factor=(0.5, 0.5),
        flip=True,
        flip_direction='horizontal',
        gt_bboxes=HorizontalBoxes(np.array([[1, 1, 4, 5], [2, 0, 8, 3]], dtype=np.float32)),
        gt_bboxes_labels=np.array([0, 0]),
        gt_ignore_flags=np.array([False, True]),
    )


def test_pair_is_packed_as_mmdet_packs_one() -> None:
    results = results_of()
    packed, plain = (
        PackDarkPair().transform(results),
        PackDetInputs().transform({**results, 'img': results['light_img']}),
    )
    inputs = packed['inputs']
    assert sorted(inputs) == ['dark', 'light']
    assert inputs['light'].dtype == torch.uint8 and torch.equal(inputs['light'], plain['inputs'])
    assert inputs['dark'].dtype == torch.float32 and inputs['dark'].is_contiguous()
    for channel in range(3):
        assert np.array_equal(inputs['dark'][channel].numpy(), results_of()['dark_img'][..., channel])

    ours, theirs = packed['data_samples'], plain['data_samples']
    assert ours.metainfo == theirs.metainfo and ours.metainfo['flip_direction'] == 'horizontal'
    for instances in ('gt_instances', 'ignored_instances'):
        mine, mmdets = getattr(ours, instances), getattr(theirs, instances)
        assert len(mine) == 1
        assert torch.equal(mine.bboxes.tensor, mmdets.bboxes.tensor)
        assert torch.equal(mine.labels, mmdets.labels)


def test_meta_keys_reach_the_parent() -> None:
    transform = TRANSFORMS.build(dict(type='PackDarkPair', meta_keys=('img_path',)))
    assert transform.transform(results_of())['data_samples'].metainfo == dict(img_path='a.jpg')


def test_a_strided_dark_image_is_packed() -> None:
    results = results_of()
    results['img'] = results['dark_img'] = results['dark_img'][:, ::-1]
    dark = PackDarkPair().transform(results)['inputs']['dark']
    assert np.array_equal(dark.numpy(), results_of()['dark_img'][:, ::-1].transpose(2, 0, 1))
