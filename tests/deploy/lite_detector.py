"""A lite detector that is sure of some boxes, and what PyTorch finds with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from packaging.version import Version
from torch import nn

from mmdark.apis import load_config
from tests.tiny_wider import LITE, QUICKSTART

needs_ceil_mode = pytest.mark.skipif(
    Version(torch.__version__) < Version('2.2'),
    reason="torch 2.1 exports no max pooling with DSFD's ceil_mode over maps whose size it does not know",
)


def lite_detector(options: dict | None = None) -> nn.Module:
    """The quickstart's model, an eighth as wide, with random weights whose scores spread between 0 and 1."""
    cfg = load_config(str(QUICKSTART), {**LITE, **(options or {})})
    torch.manual_seed(0)
    detector = MODELS.build(cfg.model)
    detector.init_weights()
    with torch.no_grad():
        for module in detector.detector.neck.modules():
            if isinstance(module, nn.BatchNorm2d):  # statistics that a file must carry, too
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
        for name, weights in detector.detector.bbox_head.second_shot.named_parameters():
            weights.normal_(-0.5 * name.endswith('bias'), 0.2 if 'cls' in name else 0.15)
    detector.cfg = cfg
    return detector.eval()


def in_mmdet(detector: nn.Module, images: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes and scores of each BGR image by the way on which MMDetection tests."""
    samples = [
        DetDataSample(metainfo=dict(img_shape=image.shape[:2], ori_shape=image.shape[:2], scale_factor=(1.0, 1.0)))
        for image in images
    ]
    inputs = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in images]
    with torch.no_grad():
        found = detector.test_step(dict(inputs=inputs, data_samples=samples))
    return [(each.pred_instances.bboxes.numpy(), each.pred_instances.scores.numpy()) for each in found]


def differences(
    wanted: tuple[np.ndarray, np.ndarray], found: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float, float]:
    """Of faces matched one to one by overlap: largest difference of a coordinate and of a score; share of matched."""
    wanted, found = (_with_area(*each) for each in (wanted, found))
    free = np.ones(len(found[0]), dtype=bool)
    boxes, scores = [0.0], [0.0]
    for box, score in zip(*wanted, strict=True):
        x1, y1 = np.maximum(box[:2], found[0][:, :2]).T
        x2, y2 = np.minimum(box[2:], found[0][:, 2:]).T
        shared = (x2 - x1).clip(0) * (y2 - y1).clip(0)
        areas = (found[0][:, 2:] - found[0][:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
        overlap = np.where(free, shared / np.maximum(areas - shared, 1e-9), 0)
        if overlap.max(initial=0) < 0.8:
            continue
        best = overlap.argmax()
        free[best] = False
        boxes.append(abs(found[0][best] - box).max())
        scores.append(abs(found[1][best] - score))
    return max(boxes), max(scores), (len(boxes) - 1) / max(len(wanted[0]), len(found[0]), 1)


def _with_area(boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes that clipping has left something of."""
    kept = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) > 0.1
    return boxes[kept], scores[kept]
