"""The stand-in for mmcv's compiled ops: NMS with the op's results, a clear line for every other op."""

import importlib.util
import sys
import time

import numpy as np
import pytest
import torch
from torch import Tensor

from mmdark.compat import compiled_ops
from mmdark.errors import InputError

COMPILED = importlib.util.find_spec('mmcv._ext')
HAS_COMPILED_OPS = COMPILED is not None and COMPILED.loader is not None
needs_compiled_ops = pytest.mark.skipif(not HAS_COMPILED_OPS, reason='full mmcv is not installed')
needs_stand_in = pytest.mark.skipif(HAS_COMPILED_OPS, reason='full mmcv is installed: nothing stands in for it')


def random_boxes(count: int, size: float = 60, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 600
    sizes = torch.rand(count, 2, generator=generator) * size + 1
    scores = torch.randperm(count, generator=generator) / count  # no ties: torch orders those as it likes
    return torch.cat([corners, corners + sizes], dim=1), scores


def brute_force(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> list[int]:
    """Greedy NMS from its definition: the whole IoU matrix, then a box stays when no kept one is too close."""
    top_left = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    overlap = (bottom_right - top_left + offset).clamp(min=0).prod(dim=2)
    area = (boxes[:, 2:] - boxes[:, :2] + offset).prod(dim=1)
    iou = overlap / (area[:, None] + area[None] - overlap)
    close = (iou > iou_threshold).numpy()
    kept: list[int] = []
    for index in np.argsort(-scores.numpy(), kind='stable').tolist():
        if not close[index, kept].any():
            kept.append(index)
    return kept


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('iou_threshold', [0.3, 0.5])
def test_nms_agrees_with_brute_force(iou_threshold: float, offset: int) -> None:
    boxes, scores = random_boxes(5000)
    kept = compiled_ops.nms(boxes, scores, iou_threshold=iou_threshold, offset=offset)
    assert 500 < len(kept) < 4500
    assert kept.dtype == torch.long
    assert kept.tolist() == brute_force(boxes, scores, iou_threshold, offset)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('iou_threshold', [0.0, 0.05, 0.3, 0.9])
def test_boxes_of_all_widths_and_of_none(iou_threshold: float, offset: int) -> None:
    """Only neighbours along x are compared; with wide, thin, turned and infinite boxes, that changes nothing."""
    boxes, scores = random_boxes(1500, size=0, seed=1)
    generator = torch.Generator().manual_seed(2)
    boxes[:, 2:] += 512 ** torch.rand(1500, 2, generator=generator) - 2
    boxes[750:, :2] = boxes[:750, :2]
    boxes[750:, 2:] = boxes[750:, :2] + (boxes[:750, 2:] - boxes[:750, :2]) * torch.tensor([0.1, 1.0])  # IoU 0.1
    boxes[::97, 2] = torch.inf
    boxes[1::97] = torch.nan
    boxes[2::97, 0] = -torch.inf
    kept = compiled_ops.nms(boxes, scores, iou_threshold=iou_threshold, offset=offset)
    assert kept.tolist() == brute_force(boxes, scores, iou_threshold, offset)


@needs_compiled_ops
@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('size', [10, 60, 400])
@pytest.mark.parametrize('iou_threshold', [0.0, 0.3, 0.45, 0.7])
def test_nms_agrees_with_the_compiled_op(size: float, offset: int, iou_threshold: float) -> None:
    boxes, scores = random_boxes(5000, size)
    scores = (scores * 1000).round() / 1000  # with ties, which both leave to the same torch.sort
    theirs = importlib.import_module('mmcv._ext').nms(boxes, scores, iou_threshold=iou_threshold, offset=offset)
    ours = compiled_ops.nms(boxes, scores, iou_threshold=iou_threshold, offset=offset)
    assert torch.equal(ours, theirs)


@needs_compiled_ops
def test_degenerate_boxes_agree_with_the_compiled_op() -> None:
    boxes = torch.tensor(
        [[0, 0, 0, 0], [0, 0, 0, 0], [5, 5, 1, 1], [0, 0, 9, 9], [0, 0, 9, 9], [float('nan')] * 4, [0, 0, 1e38, 1e38]]
    )
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    for offset in (0, 1):
        theirs = importlib.import_module('mmcv._ext').nms(boxes, scores, iou_threshold=0.5, offset=offset)
        assert torch.equal(compiled_ops.nms(boxes, scores, 0.5, offset), theirs)


def test_full_mmcv_is_left_untouched() -> None:
    extension = sys.modules['mmcv._ext']
    compiled_ops.provide_compiled_ops()
    assert sys.modules['mmcv._ext'] is extension
    assert isinstance(extension, compiled_ops._CompiledOps) is not HAS_COMPILED_OPS


def test_a_box_falls_only_above_the_threshold() -> None:
    boxes = torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0]])  # IoU 0.5 exactly
    scores = torch.tensor([0.9, 0.8])
    assert compiled_ops.nms(boxes, scores, iou_threshold=0.5).tolist() == [0, 1]
    assert compiled_ops.nms(boxes, scores, iou_threshold=0.49).tolist() == [0]


def test_offset_counts_the_last_pixel() -> None:
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0]])  # share a column of pixels, IoU 1/3
    scores = torch.tensor([0.9, 0.8])
    assert compiled_ops.nms(boxes, scores, iou_threshold=0.3, offset=0).tolist() == [0, 1]
    assert compiled_ops.nms(boxes, scores, iou_threshold=0.3, offset=1).tolist() == [0]


def test_equal_scores_keep_one_of_equal_boxes() -> None:
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0]]).repeat(4, 1)
    assert compiled_ops.nms(boxes, torch.full((4,), 0.5), iou_threshold=0.5).tolist() == [0]


def test_no_boxes() -> None:
    kept = compiled_ops.nms(torch.zeros(0, 4), torch.zeros(0), iou_threshold=0.5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.long


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_nms_on_a_gpu_agrees_with_the_host() -> None:
    boxes, scores = random_boxes(5000)
    kept = compiled_ops.nms(boxes.cuda(), scores.cuda(), iou_threshold=0.5)
    assert kept.is_cuda
    assert torch.equal(kept.cpu(), compiled_ops.nms(boxes, scores, iou_threshold=0.5))


def test_5000_boxes_that_all_stay_are_fast() -> None:
    corners = torch.arange(5000.0)[:, None].repeat(1, 2) * 10
    boxes = torch.cat([corners, corners + 5], dim=1)
    start = time.process_time()
    kept = compiled_ops.nms(boxes, torch.linspace(1, 0, 5000), iou_threshold=0.5)
    assert len(kept) == 5000
    assert time.process_time() - start < 1.5  # 0.08 s when nothing else runs


def test_mmcv_nms_and_batched_nms() -> None:
    from mmcv.ops import batched_nms, nms

    boxes, scores = random_boxes(300, size=200)
    labels = torch.arange(300) % 3
    _, kept = nms(boxes, scores, iou_threshold=0.5)
    assert kept.tolist() == brute_force(boxes, scores, 0.5, 0)
    detections, kept = batched_nms(boxes, scores, labels, {'type': 'nms', 'iou_threshold': 0.5})
    for label in range(3):
        members = torch.nonzero(labels == label).flatten()
        expected = members[brute_force(boxes[members], scores[members], 0.5, 0)]
        assert set(kept[labels[kept] == label].tolist()) == set(expected.tolist())
    assert torch.equal(detections[:, 4], scores[kept])


def test_mmdet_models_can_be_imported() -> None:
    import mmdet.models

    assert mmdet.models.SSDHead is not None


@needs_stand_in
def test_another_op_names_itself_and_the_package_to_install_at_its_call() -> None:
    from mmcv.ops import roi_pool

    with pytest.raises(InputError, match=r'mmcv.* has no compiled op roi_pool_forward; .*pip install') as info:
        roi_pool(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2)
    assert '\n' not in str(info.value)


@needs_stand_in
def test_mmcv_knows_that_it_has_no_ops() -> None:
    from mmcv.utils.ext_loader import check_ops_exist

    assert not check_ops_exist()
    with pytest.raises(AttributeError):
        _ = sys.modules['mmcv._ext'].__path__
