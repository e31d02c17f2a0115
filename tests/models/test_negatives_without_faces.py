"""``negatives_without_faces``: images without a face lower what the heads say where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmdark.apis import load_config

from . import slow_pal
from .test_ignored_boxes import CROWD, marked_samples, values
from .test_pal_head import FEW, HEIGHT, MANY, SIDES, SIZES, STRIDES, WIDTH, maps_of, outputs, samples_of, shot_of


@pytest.mark.parametrize('number', [1, 2])
@pytest.mark.parametrize('negatives', [0, 7, 200])
@pytest.mark.parametrize(
    ('faces', 'ignored'),
    [
        ((MANY, []), ([], [])),
        ((FEW, [], []), ([], CROWD, [])),
        (([], []), ([], [])),
        (([], []), (CROWD, [])),
        ((MANY, FEW), ([], [])),
    ],
    ids=['one', 'two', 'all', 'all, and a crowd', 'none'],
)
def test_the_loss_is_the_one_computed_by_hand(number: int, negatives: int, faces: tuple, ignored: tuple) -> None:
    head, maps = shot_of(number), maps_of(len(faces))
    head.train_cfg['negatives_without_faces'] = negatives
    given = (
        *outputs(head, maps),
        slow_pal.priors_of(SIZES, STRIDES, SIDES[number]),
        [np.array(boxes).reshape(-1, 4) for boxes in faces],
        (HEIGHT, WIDTH),
        [np.array(boxes).reshape(-1, 4) for boxes in ignored],
    )
    found = values(head.loss(maps, marked_samples(faces, ignored)))
    assert found == pytest.approx(slow_pal.pal(*given, negatives), rel=1e-5)
    as_published = found[0] == pytest.approx(slow_pal.pal(*given)[0], rel=1e-5)
    assert as_published == (negatives == 0 or [] not in faces)


@pytest.mark.parametrize('number', [1, 2])
def test_only_the_hardest_learn(number: int) -> None:
    """The scores of 7 priors in each of two images, and those with the highest face score; no box."""
    head, maps = shot_of(number), maps_of(2)
    head.train_cfg['negatives_without_faces'] = 7
    samples = samples_of([], [])
    levels = [tuple(level.detach().requires_grad_() for level in out) for out in head(maps)]
    faces, metas = [sample.gt_instances for sample in samples], [sample.metainfo for sample in samples]
    losses = head.loss_by_feat(*levels, faces, metas)
    sum(losses.values()).backward()
    scores, gradients = (
        torch.cat([part.flatten(2) for part in parts], 2) for parts in (levels[0], [level.grad for level in levels[0]])
    )
    learning = gradients[:, 0] != 0
    assert learning.sum(1).tolist() == [7, 7] and float(losses['loss_bbox'].detach()) == 0
    margin = (scores[:, 0] - scores[:, 1]).detach()
    assert (margin.where(learning, torch.inf).amin(1) >= margin.where(~learning, -torch.inf).amax(1)).all()
    assert (gradients[:, 0][learning] > 0).all()  # a step lowers the score of a face
    assert losses['loss_cls'].item() == pytest.approx(
        torch.nn.functional.softplus(margin[learning]).sum().item() * 3 / 14, rel=1e-5
    )


@pytest.mark.parametrize('config', ['dsfd_dark_coco', 'dsfd_dark_voc'])
def test_own_data_learns_from_images_without_faces(config: str) -> None:
    """Where they are kept; the published recipe does not."""
    assert load_config(config).model.detector.train_cfg.negatives_without_faces == 12
    assert 'negatives_without_faces' not in load_config('dsfd_dark_wider').model.detector.train_cfg
