"""PALHead beside mmdet's own SSDHead on the same maps: the same losses, gradients and faces, sooner."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from mmdet.models.dense_heads import SSDHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmdark.errors import InputError
from mmdark.models import PALHead
from mmdark.models.pal_head import hardest
from mmdark.models.prior_cache import CAPACITY

from .test_pal_head import CONFIG, FEW, HEIGHT, MANY, STRIDES, WIDTH, maps_of, samples_of, shot_of

WAITS = ('nonzero', 'item', '_local_scalar_dense', 'masked_select', 'unique', 'is_nonzero', 'equal')


class SlowHead(SSDHead):
    """mmdet's head, image by image, matching in fractions, with the published divisor and ``nms_pre``."""

    loss_cls = None

    def get_targets(self, *args: object, **kwargs: object) -> tuple:
        *targets, _ = super().get_targets(*args, **kwargs)
        labels = torch.cat(targets[0], dim=1)
        return (*targets, int((labels < 1).sum()) or len(labels))

    def _get_targets_single(
        self, anchors: Tensor, flags: Tensor, faces: InstanceData, meta: dict, *args: object, **kwargs: object
    ) -> tuple:
        size = anchors.new_tensor([*meta['img_shape'][::-1]]).repeat(2)
        centres, halves = (
            (anchors[:, :2] + anchors[:, 2:]) / 2 / size[:2],
            (anchors[:, 2:] - anchors[:, :2]) / size[:2] / 2,
        )
        boxes = InstanceData(bboxes=faces.bboxes / size, labels=faces.labels)
        anchors = torch.cat([centres - halves, centres + halves], 1)
        return super()._get_targets_single(anchors, flags, boxes, {**meta, 'img_shape': (1, 1)}, *args, **kwargs)

    def _bbox_post_process(self, results: InstanceData, cfg: dict, **kwargs: object) -> InstanceData:
        best = results.scores.topk(min(cfg['nms_pre'], len(results))).indices
        return super()._bbox_post_process(results=results[best], cfg=cfg, **kwargs)


class NoWaiting(TorchDispatchMode):
    """Refuses what a GPU must finish its work for, and what indexes with a mask."""

    def __torch_dispatch__(self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        name = func.__name__.split('.')[0]
        masks = [x for x in args[1:2] if name.startswith('index') and isinstance(x, list | tuple)]
        if name in WAITS or any(x is not None and x.dtype == torch.bool for mask in masks for x in mask):
            raise AssertionError(f'{func} waits for the device')
        return func(*args, **(kwargs or {}))


def slow_of(head: PALHead) -> SSDHead:
    model = Config.fromfile(CONFIG).model
    MODELS.register_module(name='SlowHead', module=SlowHead, force=True)
    shot = {**model.bbox_head.second_shot, 'in_channels': [4] * 6, 'type': 'SlowHead'}
    slow = MODELS.build({**shot, 'train_cfg': {**head.train_cfg, 'pos_weight': -1}, 'test_cfg': head.test_cfg})
    slow.load_state_dict(head.state_dict())
    return slow


def random_faces(count: int, seed: int) -> list[list[float]]:
    """On whole pixels, which makes for equal overlaps; a third of them twice, some outside the image."""
    generator = torch.Generator().manual_seed(seed)
    corners = (torch.rand(count, 2, generator=generator) * torch.tensor([WIDTH, HEIGHT]) * 1.3 - 10).round()
    sides = (2 ** (torch.rand(count, 2, generator=generator) * 6)).round()
    boxes = torch.cat([corners, corners + sides], 1)
    boxes[1::3] = boxes[0::3][: len(boxes[1::3])]
    return boxes.tolist()


def compare(head: PALHead, slow: SSDHead, maps: tuple[Tensor, ...], samples: list[DetDataSample]) -> None:
    gradients = []
    for each in (head, slow):
        losses = each.loss(maps, samples)
        cls, bbox = (sum(losses[name]) if isinstance(losses[name], tuple | list) else losses[name] for name in losses)
        gradients.append([cls.detach().sum(), bbox.detach().sum(), *torch.autograd.grad(cls.sum() + bbox.sum(), maps)])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-6)
    assert gradients[0][1] > 0


@pytest.mark.parametrize('counts', [(1, 0), (0, 7, 1), (200,), (3, 40, 0)])
@pytest.mark.parametrize('seed', [0, 1])
def test_losses_and_gradients_are_those_of_mmdet(counts: tuple[int, ...], seed: int) -> None:
    head = shot_of(2)
    compare(head, slow_of(head), maps_of(len(counts), seed), samples_of(*(random_faces(n, seed + n) for n in counts)))


def test_cells_in_the_padding_take_no_part() -> None:
    """Not even where the face that reaches into the padding has its best prior."""
    head, samples = shot_of(2), samples_of(MANY, [*FEW, [70.0, 60, 110, 100]])
    samples[1].set_metainfo(dict(img_shape=(72, 80), pad_shape=(72, 80)))
    compare(head, slow_of(head), maps_of(2), samples)


@pytest.mark.parametrize('cfg', [dict(), dict(max_per_img=5), dict(score_thr=0.5, nms_pre=60), dict(min_bbox_size=40)])
@pytest.mark.parametrize('rescale', [True, False])
def test_faces_are_those_of_mmdet(cfg: dict, rescale: bool) -> None:
    head, maps = shot_of(2, **cfg), maps_of(2)
    samples = samples_of([], [], scale_factor=(0.5, 0.25))
    with torch.no_grad():
        ours, theirs = (each.predict(maps, samples, rescale=rescale) for each in (head, slow_of(head)))
    for own, wanted in zip(ours, theirs, strict=True):
        assert len(own) > 4
        torch.testing.assert_close(own.scores, wanted.scores)
        torch.testing.assert_close(own.bboxes, wanted.bboxes, rtol=1e-5, atol=1e-3)
        assert torch.equal(own.labels, wanted.labels)


def test_no_score_that_is_not_a_number_is_found() -> None:
    head, maps = shot_of(2), [level.detach() for level in maps_of(1)]
    with torch.no_grad():
        scores, deltas = head(maps)
        clean = head.predict_by_feat(scores, deltas, batch_img_metas=[samples_of([])[0].metainfo])[0]
        scores[0][0, :, 0, 0] = torch.nan
        found = head.predict_by_feat(scores, deltas, batch_img_metas=[samples_of([])[0].metainfo])[0]
    assert torch.isfinite(found.scores).all() and abs(len(found) - len(clean)) < 3


def test_the_loss_does_not_wait_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the meta device, where no value can be asked for, once the priors are there."""
    head, samples = shot_of(2), samples_of(MANY, [], FEW)
    with torch.no_grad():
        maps = head(maps_of(3))
    faces, metas = [sample.gt_instances for sample in samples], [sample.metainfo for sample in samples]
    head.loss_by_feat(*maps, faces, metas)
    meta, cpu = torch.device('meta'), torch.device('cpu')
    for key, priors in list(head.priors._kept.items()):
        moved = priors.to(meta) if isinstance(priors, Tensor) else priors._make(x.to(meta) for x in priors)
        head.priors._kept[tuple(meta if part == cpu else part for part in key)] = moved
    before = head.priors.builds
    with NoWaiting(), pytest.raises(AssertionError, match='waits for the device'):
        slow_of(head).loss_by_feat(*maps, faces, metas)
    monkeypatch.setattr('torch.autocast', lambda *_, **__: nullcontext())  # which knows no meta device
    maps = [[level.to(meta).requires_grad_() for level in shot] for shot in maps]
    faces = [InstanceData(bboxes=each.bboxes.to(meta), labels=each.labels.to(meta)) for each in faces]
    with NoWaiting():
        losses = head.loss_by_feat(*maps, faces, metas)
        sum(losses.values()).backward()
    assert head.priors.builds == before
    assert all(loss.shape == () for loss in losses.values()) and maps[0][0].grad.shape == maps[0][0].shape


@pytest.mark.parametrize('count', [0, 5, 40, 99])
def test_hardest_are_those_of_a_sort(count: int) -> None:
    losses = torch.rand(2, 40, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = hardest(losses, torch.tensor([count, count // 2]))
    found.sum().backward()
    order = losses.detach().argsort(dim=1, descending=True)
    wanted = torch.zeros(2, 40)
    wanted[0, order[0, :count]] = wanted[1, order[1, : count // 2]] = 1
    assert torch.equal(losses.grad, wanted)
    assert found.tolist() == pytest.approx((losses.detach() * wanted).sum(dim=1).tolist(), rel=1e-6)


def test_other_images_do_not_decide_between_equal_losses() -> None:
    """Which of them learn must not depend on the batch, or two processes would not train as one does."""
    gradients = []
    for counts in ([30], [30, 200], [30, 700]):
        losses = torch.ones(len(counts), 1000, requires_grad=True)
        hardest(losses, torch.tensor(counts)).sum().backward()
        gradients.append(losses.grad[0])
    assert gradients[0].sum() == 30
    assert torch.equal(gradients[0], gradients[1]) and torch.equal(gradients[0], gradients[2])


def test_priors_are_built_once() -> None:
    head, maps, samples = shot_of(2), maps_of(2), samples_of(MANY, FEW)
    head.loss(maps, samples)
    head.eval().predict(maps, samples)
    first = head.priors.builds
    for _ in range(3):
        head.train().loss(maps, samples)
        head.eval().predict(maps, samples)
    assert head.priors.builds == first == 2  # in pixels, and in fractions of the image
    for rows in range(1, 2 * CAPACITY):
        head.priors.in_pixels(tuple((rows, rows) for _ in STRIDES), torch.device('cpu'))
    assert len(head.priors._kept) == CAPACITY


@pytest.mark.parametrize(
    ('change', 'line'),
    [
        (dict(neg_iou_thr=0.3), 'neg_iou_thr'),
        (dict(gt_max_assign_all=True), 'gt_max_assign_all'),
        (dict(type='ATSSAssigner'), 'ATSSAssigner|neg_iou_thr'),
    ],
)
def test_another_rule_of_matching_is_refused(change: dict, line: str) -> None:
    model = Config.fromfile(CONFIG).model
    model.train_cfg.assigner.update(change)
    if 'type' in change:
        model.train_cfg.assigner = dict(type='ATSSAssigner', topk=9)
    with pytest.raises(InputError, match=line) as error:
        MODELS.build({**model.bbox_head, 'train_cfg': model.train_cfg, 'test_cfg': model.test_cfg})
    assert '\n' not in str(error.value)
