"""Both shots in training and testing against loops over float64 arrays (``slow_pal.py``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from mmdark.models import DualShotHead, PALHead

from . import slow_pal

CONFIG = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'models' / 'dsfd_vgg16.py'
STRIDES = (4, 8, 16, 32, 64, 128)
HEIGHT, WIDTH = 96, 133
SIZES = [(-(-HEIGHT // stride), -(-WIDTH // stride)) for stride in STRIDES]
SIDES = {1: (8, 16, 32, 64, 128, 256), 2: (16, 32, 64, 128, 256, 512)}
MANY = [[10.0, 12, 26, 30], [60, 20, 64, 25], [61, 21, 63, 23], [30, 40, 95, 90], [100, 60, 131, 95], [2, 70, 9, 80]]
FEW = [[40.0, 40, 72, 70]]


def dual_head(**test_cfg: object) -> DualShotHead:
    """The published head on narrow maps, its convolutions made loud enough to find faces."""
    model = Config.fromfile(CONFIG).model
    for shot in ('first_shot', 'second_shot'):
        model.bbox_head[shot].in_channels = [4] * 6
    model.test_cfg.update(test_cfg)
    torch.manual_seed(0)
    head = MODELS.build({**model.bbox_head, 'train_cfg': model.train_cfg, 'test_cfg': model.test_cfg})
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return head


def maps_of(batch: int, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, 4, *size, generator=generator).requires_grad_() for size in SIZES)


def samples_of(*faces: list[list[float]], scale_factor: tuple[float, float] = (1.0, 1.0)) -> list[DetDataSample]:
    shapes = dict(img_shape=(HEIGHT, WIDTH), pad_shape=(HEIGHT, WIDTH), ori_shape=(HEIGHT, WIDTH))
    samples = [DetDataSample(metainfo=dict(**shapes, scale_factor=scale_factor)) for _ in faces]
    for sample, boxes in zip(samples, faces, strict=True):
        labels = torch.zeros(len(boxes), dtype=torch.long)
        sample.gt_instances = InstanceData(bboxes=torch.tensor(boxes).view(-1, 4), labels=labels)
    return samples


def outputs(head: PALHead, maps: tuple[Tensor, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Scores ``(B, N, 2)`` and deltas ``(B, N, 4)`` of all levels in float64."""
    with torch.no_grad():
        return tuple(
            torch.cat([level.permute(0, 2, 3, 1).reshape(len(level), -1, width) for level in x], 1).double().numpy()
            for x, width in zip(head(maps), (2, 4), strict=True)
        )


def shot_of(number: int, **test_cfg: object) -> PALHead:
    head = dual_head(**test_cfg)
    return head.first_shot if number == 1 else head.second_shot


def total(losses: dict, name: str) -> Tensor:
    return losses[name]


@pytest.mark.parametrize('number', [1, 2])
@pytest.mark.parametrize(
    'faces',
    [(MANY, FEW), (MANY, []), (FEW,), ([*FEW, *MANY[::-1]], [], MANY)],
    ids=['all', 'one empty', 'one', 'three'],
)
def test_loss(number: int, faces: tuple) -> None:
    head, maps = shot_of(number), maps_of(len(faces))
    losses = head.loss(maps, samples_of(*faces))
    assert sorted(losses) == ['loss_bbox', 'loss_cls']
    priors = slow_pal.priors_of(SIZES, STRIDES, SIDES[number])
    scores, deltas = outputs(head, maps)
    loss_cls, loss_bbox = slow_pal.pal(
        scores, deltas, priors, [np.array(boxes).reshape(-1, 4) for boxes in faces], (HEIGHT, WIDTH)
    )
    assert float(total(losses, 'loss_cls').detach()) == pytest.approx(loss_cls, rel=1e-5)
    assert float(total(losses, 'loss_bbox').detach()) == pytest.approx(loss_bbox, rel=1e-5)


def test_later_face_wins_the_prior() -> None:
    """Two tiny faces in one cell: the loss depends on their order, as the reference says."""
    small, smaller = [60.0, 20, 64, 25], [61.0, 21, 63, 23]
    priors = slow_pal.priors_of(SIZES, STRIDES, SIDES[2])
    for pair in ([small, smaller], [smaller, small]):
        assert list(slow_pal.match(priors, np.array(pair)).values()) == [1]
    head, maps = shot_of(2), maps_of(1)
    alone, last, first = (
        float(total(head.loss(maps, samples_of(faces)), 'loss_bbox').detach())
        for faces in ([smaller], [small, smaller], [smaller, small])
    )
    assert last == pytest.approx(alone, rel=1e-6) != first


@pytest.mark.parametrize('number', [1, 2])
def test_batch_without_any_face(number: int) -> None:
    head, maps = shot_of(number), maps_of(2)
    losses = head.loss(maps, samples_of([], []))
    loss = total(losses, 'loss_cls') + total(losses, 'loss_bbox')
    assert float(loss.detach()) == 0
    loss.backward()
    for tensor in (*maps, *head.parameters()):
        assert tensor.grad is not None and torch.isfinite(tensor.grad).all()


def test_divisor_counts_the_batch_if_there_is_no_positive() -> None:
    """Nothing is learnt without a face, so the sum of three images is over what they have in common: nothing."""
    head, maps = shot_of(1), maps_of(3)
    nobody = head.loss(maps, samples_of([], [], []))
    somebody = head.loss(maps, samples_of(FEW, [], []))
    alone = head.loss(tuple(level[:1] for level in maps), samples_of(FEW))
    for name in ('loss_cls', 'loss_bbox'):
        assert float(total(nobody, name).detach()) == 0
        torch.testing.assert_close(total(somebody, name), total(alone, name))


def test_loss_under_autocast_is_float32() -> None:
    head, maps = shot_of(1), maps_of(2)
    exact = head.loss(maps, samples_of(MANY, FEW))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = head.loss(maps, samples_of(MANY, FEW))
    for name, values in mixed.items():
        assert values.dtype == torch.float32
        assert float(total(mixed, name).detach()) == pytest.approx(float(total(exact, name).detach()), rel=0.03)


def test_what_follows_the_convolutions_is_float32_under_autocast() -> None:
    """Half-precision outputs under autocast give, to the digit, what the same numbers give in float32 without it."""
    head, maps = shot_of(2), maps_of(2)
    samples = samples_of(MANY, FEW)
    faces, metas = [sample.gt_instances for sample in samples], [sample.metainfo for sample in samples]
    with torch.no_grad(), torch.autocast('cpu', dtype=torch.bfloat16):
        low = head(maps)
        losses = head.loss_by_feat(*low, faces, metas)
        found = head.predict_by_feat(*low, batch_img_metas=metas)
    assert low[0][0].dtype == torch.bfloat16
    exact = tuple([level.float() for level in shot] for shot in low)
    with torch.no_grad():
        assert all(
            torch.equal(total(losses, k), total(v, k)) for v in [head.loss_by_feat(*exact, faces, metas)] for k in v
        )
        for ours, wanted in zip(found, head.predict_by_feat(*exact, batch_img_metas=metas), strict=True):
            assert len(ours) > 5 and ours.bboxes.dtype == ours.scores.dtype == torch.float32
            assert torch.equal(ours.bboxes, wanted.bboxes) and torch.equal(ours.scores, wanted.scores)


@pytest.mark.parametrize('positives', [0, 6])
def test_divisor_is_the_mean_over_the_processes(positives: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes: this one has the positives of FEW, the other one ``positives`` more; gradients are means, too."""
    asked = []

    def mean_of_two(value: Tensor) -> Tensor:
        asked.append(value.tolist())
        return (value + torch.tensor([positives, 0])) / 2

    monkeypatch.setattr('mmdark.models.pal_head.reduce_mean', mean_of_two)
    head, maps = shot_of(1), maps_of(1)
    own = len(slow_pal.match(slow_pal.priors_of(SIZES, STRIDES, SIDES[1]), np.array(FEW)))
    loss = total(head.loss(maps, samples_of(FEW)), 'loss_cls')
    alone = total(head.eval().loss(maps, samples_of(FEW)), 'loss_cls')  # counts for itself
    monkeypatch.undo()
    assert float(alone.detach()) == float(total(head.train().loss(maps, samples_of(FEW)), 'loss_cls').detach())
    assert asked == [[own, 0]] and own > 0
    assert float(loss.detach()) == pytest.approx(float(alone.detach()) * own / ((own + positives) / 2), rel=1e-6)


def test_both_shots_ask_the_other_processes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[float]] = []
    monkeypatch.setattr('mmdark.models.pal_head.reduce_mean', lambda value: asked.append(value.tolist()) or value * 2)
    head, shots = dual_head().train(), (maps_of(2, 1), maps_of(2, 2))
    together = head.loss(shots, samples_of(FEW, MANY))
    assert len(asked) == 1 and len(asked[0]) == 2
    apart = (
        head.first_shot.loss(shots[0], samples_of(FEW, MANY)),
        head.second_shot.loss(shots[1], samples_of(FEW, MANY)),
    )
    assert asked[0] == asked[1:]
    assert [*together.values()] == [value for losses in apart for value in losses.values()]
    assert [*together] == ['pal1_loss_cls', 'pal1_loss_bbox', 'pal2_loss_cls', 'pal2_loss_bbox']


@pytest.mark.parametrize('cfg', [(0.05, 5000, 750), (0.5, 40, 750), (0.3, 300, 9)])
def test_predict(cfg: tuple[float, int, int]) -> None:
    """Threshold, the best ``nms_pre`` over all levels, suppression at 0.3, ``max_per_img``."""
    score_thr, nms_pre, max_per_img = cfg
    head = shot_of(2, score_thr=score_thr, nms_pre=nms_pre, max_per_img=max_per_img)
    maps = maps_of(2)
    with torch.no_grad():
        found = head.predict(maps, samples_of([], []))
    priors = slow_pal.priors_of(SIZES, STRIDES, SIDES[2])
    for instances, *output in zip(found, *outputs(head, maps), strict=True):
        wanted = slow_pal.detect(*output, priors, score_thr, nms_pre, 0.3, max_per_img)
        assert len(wanted) > 5 and (max_per_img == 750 or len(wanted) == max_per_img)
        assert not instances.labels.any()
        ours = torch.cat([instances.bboxes, instances.scores[:, None]], 1)
        np.testing.assert_allclose(ours.numpy(), wanted, rtol=1e-4, atol=1e-3)


def test_nms_pre_counts_over_all_levels() -> None:
    """Per level it would leave other boxes: more than ``nms_pre`` candidates, from every level."""
    scores, _ = outputs(shot_of(2), maps_of(1))
    above = 1 / (1 + np.exp(scores[0, :, 1] - scores[0, :, 0])) > 0.5
    levels = np.repeat(range(6), [height * width for height, width in SIZES])
    assert above.sum() > 40 and len(set(levels[above])) > 3


def test_rescale() -> None:
    head, maps = shot_of(2), maps_of(1)
    with torch.no_grad():
        small = head.predict(maps, samples_of([]), rescale=False)[0]
        original = head.predict(maps, samples_of([], scale_factor=(0.5, 0.25)), rescale=True)[0]
        ignored = head.predict(maps, samples_of([], scale_factor=(0.5, 0.25)), rescale=False)[0]
    assert torch.equal(ignored.bboxes, small.bboxes)
    best = int(small.scores.argmax())
    assert torch.allclose(original.bboxes[best], small.bboxes[best] * torch.tensor([2.0, 4.0, 2.0, 4.0]))


@pytest.mark.parametrize('rescale', [True, False])
def test_no_detection_at_all(rescale: bool) -> None:
    head, maps = dual_head(score_thr=1.0), maps_of(2)
    with torch.no_grad():
        found = head.predict((maps, maps), samples_of([], []), rescale=rescale)
    for instances in found:
        assert instances.bboxes.shape == (0, 4) and len(instances.scores) == len(instances.labels) == 0


def test_dual_shot_head() -> None:
    head, original, enhanced = dual_head(), maps_of(2, 1), maps_of(2, 2)
    losses = head.loss((original, enhanced), samples_of(MANY, FEW))
    assert sorted(losses) == ['pal1_loss_bbox', 'pal1_loss_cls', 'pal2_loss_bbox', 'pal2_loss_cls']
    for number, shot, maps in ((1, head.first_shot, original), (2, head.second_shot, enhanced)):
        alone = shot.loss(maps, samples_of(MANY, FEW))
        for name in ('loss_cls', 'loss_bbox'):
            assert torch.equal(total(losses, f'pal{number}_{name}'), total(alone, name))

    with torch.no_grad():
        found = head.predict((original, enhanced), samples_of([], []))
        second = head.second_shot.predict(enhanced, samples_of([], []))
        for parameter in head.first_shot.parameters():
            parameter.fill_(float('nan'))
        again = head.predict((None, enhanced), samples_of([], []))
        for ours, reference, without in zip(found, second, again, strict=True):
            assert len(ours) > 5
            assert torch.equal(ours.bboxes, reference.bboxes) and torch.equal(ours.bboxes, without.bboxes)
        scores, deltas = head((None, enhanced))
        wanted = head.second_shot(enhanced)
        assert all(map(torch.equal, (*scores, *deltas), (*wanted[0], *wanted[1])))
    assert [tuple(level.shape[1:]) for level in scores] == [(2, *size) for size in SIZES]
    assert [tuple(level.shape[1:]) for level in deltas] == [(4, *size) for size in SIZES]


def test_configs_are_left_as_they_are() -> None:
    model = Config.fromfile(CONFIG).model
    before = ConfigDict(model.bbox_head.to_dict())
    MODELS.build({**model.bbox_head, 'train_cfg': model.train_cfg, 'test_cfg': model.test_cfg})
    assert model.bbox_head == before


@pytest.mark.parametrize('border', [-1, 0, 8])
def test_a_border_is_in_pixels(border: int) -> None:
    """Priors further outside the image than the border take no part, as in mmdet's own targets."""
    head = shot_of(1)
    head.priors.allowed_border = border
    anchors = torch.cat(head.prior_generator.grid_priors(SIZES, device='cpu'))
    sample = samples_of(FEW)[0]
    _, _, found = head.match(tuple(SIZES), [sample.gt_instances.bboxes], [sample.metainfo])
    inside = (anchors[:, :2] >= -border).all(1) & (anchors[:, 2] < WIDTH + border) & (anchors[:, 3] < HEIGHT + border)
    assert torch.equal(found[0], torch.ones_like(inside) if border < 0 else inside)
