"""RoIAlign and NMS of mmcv-lite from torchvision; a stand-in, as it has no wheel for torch without CUDA."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from mmcv.ops import RoIAlign, batched_nms, nms, roi_align
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from mmdark.cli import doctor
from mmdark.compat import compiled_ops
from mmdark.compat.torchvision_ops import find_torchvision
from mmdark.errors import InputError
from tests.compat import torchvision_stand_in
from tests.compat.test_compiled_ops import brute_force, needs_stand_in, random_boxes

pytestmark = needs_stand_in


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    find_torchvision.cache_clear()
    yield
    find_torchvision.cache_clear()


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision_stand_in.install(monkeypatch)


@pytest.fixture
def no_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mmdark.compat.torchvision_ops.find_spec', lambda name: None)


def case() -> tuple[Tensor, Tensor, Tensor]:
    """Features, boxes that partly leave the image, and what comes back to the cells; all seeded."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 12, 16, generator=generator)
    corners = torch.rand(40, 2, generator=generator) * torch.tensor([140.0, 110.0]) - 10
    sides = torch.rand(40, 2, generator=generator) ** 3 * 90
    boxes = torch.cat([(torch.arange(40) % 2)[:, None].float(), corners, corners + sides], 1)
    return features.requires_grad_(), boxes, torch.randn(40, 3, 3, 4, generator=generator)


@pytest.mark.parametrize(
    ('ratio', 'aligned', 'scale', 'printed'),
    [
        (0, True, 1 / 8, (31.994822, 447.663852, 19.533205, 307.555557)),
        (0, True, 1 / 4, (23.772374, 119.052887, -4.980754, 110.193471)),
        (2, True, 1 / 8, (27.888022, 444.784343, 21.006891, 310.522300)),
        (2, False, 1 / 8, (69.235671, 441.341981, -13.860924, 325.979563)),
        (1, False, 1 / 4, (24.623371, 151.050457, -12.937908, 123.972338)),
    ],
)
@pytest.mark.usefixtures('torchvision')
def test_values_and_gradients_are_those_of_full_mmcv(
    ratio: int, aligned: bool, scale: float, printed: tuple[float, ...]
) -> None:
    """Sums that mmcv 2.1.0 with its compiled ops printed; its values and ours differ by 6e-6 at most."""
    features, boxes, back = case()
    cells = roi_align(features, boxes, (3, 4), scale, ratio, 'avg', aligned)
    (gradient,) = torch.autograd.grad(cells, features, back)
    sums = [part.double().sum().item() for part in (cells, cells.abs(), cells * back, gradient.abs())]
    assert sums == pytest.approx(printed, abs=2e-4)


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.usefixtures('torchvision')
def test_a_slope_is_sampled_in_the_centre_of_each_cell(aligned: bool) -> None:
    """Of features 2 x + 3 y; mmdet's module; of what comes back, each box gives as much as it got."""
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing='ij')
    features = (2 * x + 3 * y)[None, None].requires_grad_()
    box = torch.tensor([[0.0, 16.0, 24.0, 64.0, 72.0]])
    cells = RoIAlign((2, 3), spatial_scale=1 / 8, sampling_ratio=2, aligned=aligned)(features, box)
    shift = 0.5 * aligned
    centres_x, centres_y = torch.tensor([3.0, 5.0, 7.0]) - shift, torch.tensor([4.5, 7.5]) - shift
    assert torch.allclose(cells[0, 0], 2 * centres_x + 3 * centres_y[:, None])
    cells.sum().backward()
    assert features.grad.sum() == pytest.approx(6) and features.grad.min() == 0


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.usefixtures('torchvision')
def test_all_types_keep_theirs(dtype: torch.dtype) -> None:
    features, boxes, back = case()
    exact = roi_align(features, boxes, (3, 4), 1 / 8, 2)
    (exact_gradient,) = torch.autograd.grad(exact, features, back)
    given = features.detach().to(dtype).requires_grad_()
    cells = roi_align(given, boxes.to(torch.bfloat16).to(dtype), (3, 4), 1 / 8, 2)
    (gradient,) = torch.autograd.grad(cells, given, back.to(dtype))
    assert cells.dtype == gradient.dtype == dtype
    assert (cells - exact).abs().mean() < 0.15 and (gradient - exact_gradient).abs().mean() < 0.3
    assert roi_align(features, boxes[:0], (3, 4), 1 / 8, 2).shape == (0, 3, 3, 4)


@pytest.mark.usefixtures('torchvision')
def test_maxima_are_refused() -> None:
    features, boxes, _ = case()
    with pytest.raises(
        InputError, match=r"has no compiled op roi_align, and torchvision none with pool_mode='max'; \w+ .*mmcv"
    ):
        roi_align(features, boxes, (3, 4), 1 / 8, 2, 'max')


@pytest.mark.usefixtures('torchvision')
def test_nms_is_torchvisions_with_the_results_of_mmcv(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, scores = random_boxes(400, size=200)
    calls = []
    own = sys.modules['torchvision.ops'].nms
    monkeypatch.setattr(sys.modules['torchvision.ops'], 'nms', lambda *given: calls.append(given) or own(*given))
    assert find_torchvision()[1] == 'torchvision 0.28.0' and len(calls) == 1  # it was tried
    assert nms(boxes, scores, 0.5)[1].tolist() == brute_force(boxes, scores, 0.5, 0) and len(calls) == 2
    assert nms(boxes, scores, 0.5, offset=1)[1].tolist() == brute_force(boxes, scores, 0.5, 1) and len(calls) == 2
    _, kept = batched_nms(
        boxes.bfloat16(), scores.bfloat16(), torch.arange(400) % 2, dict(type='nms', iou_threshold=0.5)
    )
    assert 20 < len(kept) < 400 and calls[-1][0].dtype == torch.float32
    ten = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 3.0, 10.0]])  # overlap float32(0.3), above the double 0.3
    assert nms(ten, torch.tensor([0.9, 0.8]), 0.3)[1].tolist() == [0, 1]
    assert compiled_ops.nms(boxes[:0], scores[:0], 0.5).shape == (0,)


def two_stages() -> tuple[torch.nn.Module, Tensor, list[DetDataSample]]:
    """A small Faster R-CNN as mmdet builds it, and a batch."""
    torch.manual_seed(0)
    assigner = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.3, ignore_iof_thr=-1)
    sampler = dict(type='RandomSampler', num=32, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=False)
    coder = dict(type='DeltaXYWHBBoxCoder')
    proposals = dict(nms_pre=50, max_per_img=20, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0)
    model = MODELS.build(
        ConfigDict(
            type='FasterRCNN',
            data_preprocessor=dict(type='DetDataPreprocessor'),
            backbone=dict(type='ResNet', depth=18, base_channels=8, frozen_stages=-1, out_indices=(0, 1)),
            neck=dict(type='FPN', in_channels=[8, 16], out_channels=8, num_outs=2),
            rpn_head=dict(
                type='RPNHead',
                in_channels=8,
                feat_channels=8,
                anchor_generator=dict(type='AnchorGenerator', scales=[4], ratios=[1.0], strides=[4, 8]),
                bbox_coder=coder,
            ),
            roi_head=dict(
                type='StandardRoIHead',
                bbox_roi_extractor=dict(
                    type='SingleRoIExtractor',
                    roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=0),
                    out_channels=8,
                    featmap_strides=[4, 8],
                ),
                bbox_head=dict(
                    type='Shared2FCBBoxHead',
                    in_channels=8,
                    fc_out_channels=16,
                    roi_feat_size=3,
                    num_classes=1,
                    bbox_coder=coder,
                ),
            ),
            train_cfg=dict(
                rpn=dict(assigner=assigner, sampler=sampler, allowed_border=-1, pos_weight=-1, debug=False),
                rpn_proposal=proposals,
                rcnn=dict(
                    assigner=assigner, sampler=dict(sampler, add_gt_as_proposals=True), pos_weight=-1, debug=False
                ),
            ),
            test_cfg=dict(
                rpn=proposals, rcnn=dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10)
            ),
        )
    )
    samples = [
        DetDataSample(
            metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64), pad_shape=(64, 64), scale_factor=(1.0, 1.0))
        )
    ]
    boxes = torch.tensor([[8.0, 8.0, 30.0, 34.0]])
    samples[0].gt_instances = InstanceData(bboxes=boxes, labels=torch.zeros(1, dtype=torch.long))
    samples[0].ignored_instances = InstanceData(bboxes=boxes[:0])
    return model, torch.rand(1, 3, 64, 64), samples


@pytest.mark.usefixtures('torchvision')
def test_a_two_stage_detector_trains_and_detects() -> None:
    model, images, samples = two_stages()
    optimizer, totals = torch.optim.Adam(model.parameters(), 1e-3), []
    for _ in range(6):
        total, _ = model.parse_losses(model.loss(images, samples))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total))
    assert sum(b < a for a, b in pairwise(totals)) >= 4
    assert model.roi_head.bbox_head.shared_fcs[0].weight.grad.abs().sum() > 0
    assert model.neck.fpn_convs[1].conv.weight.grad.abs().sum() > 0
    with torch.no_grad():
        (found,) = model.eval().predict(images, samples)
    assert 0 < len(found.pred_instances) <= 10


BOTH_WAYS = (
    r'^\S*mmcv\S* \S+ has no compiled op roi_align, and torchvision .*; '
    r'install the torchvision for torch \S+ \(see pytorch.org\), or .*mmcv.*\(compiles\)$'
)


@pytest.mark.usefixtures('no_torchvision')
def test_without_torchvision_one_line_names_both_ways_out() -> None:
    model, images, samples = two_stages()
    with pytest.raises(InputError, match=BOTH_WAYS) as info:
        model.loss(images, samples)
    assert 'torchvision is not installed' in str(info.value) and '\n' not in str(info.value)
    boxes, scores = random_boxes(200, size=200)
    assert nms(boxes, scores, 0.5)[1].tolist() == brute_force(boxes, scores, 0.5, 0)


def test_a_torchvision_that_does_not_load_is_as_good_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it fails beside another torch: with a RuntimeError at its import."""
    (tmp_path / 'torchvision').mkdir()
    (tmp_path / 'torchvision' / '__init__.py').write_text(
        "raise RuntimeError('operator torchvision::nms does not exist\\nat line 7')"
    )
    for name in [name for name in sys.modules if name.split('.')[0] == 'torchvision']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    features, boxes, _ = case()
    with pytest.raises(InputError, match=BOTH_WAYS) as info:
        roi_align(features, boxes, (3, 4), 1 / 8, 2)
    why = f'torchvision does not load with torch {torch.__version__} (RuntimeError: operator torchvision::nms does not '
    assert why in str(info.value) and 'line 7' not in str(info.value)
    boxes, scores = random_boxes(200, size=200)
    assert nms(boxes, scores, 0.5)[1].tolist() == brute_force(boxes, scores, 0.5, 0)
    (row,) = doctor._torchvision()
    assert row.state == doctor.NOTE and why in row.found and 'pytorch.org' in row.remedy


@pytest.mark.usefixtures('torchvision')
def test_the_doctor_knows_it() -> None:
    (row,) = doctor._torchvision()
    assert row == (doctor.OK, 'torchvision', '0.28.0, gives mmcv its nms and roi_align', '')


@pytest.mark.usefixtures('no_torchvision')
def test_the_doctor_misses_it() -> None:
    (row,) = doctor._torchvision()
    assert row.state == doctor.NOTE and row.found == 'torchvision is not installed; for two-stage detectors'
    assert row.remedy.endswith('(see pytorch.org), or full mmcv')
