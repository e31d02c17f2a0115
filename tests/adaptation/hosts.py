"""Detectors of mmdet with DAI-Net around them, small and without weight files."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import torch
from mmcv.ops import roi_align
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmdark.errors import InputError
from tests.models.tiny_models import CONFIGS, samples_of

HOSTS = {
    'DINO': 'dino/dino_r50_wider_dark.py',
    'FasterRCNN': 'faster_rcnn/faster_rcnn_r50_wider_dark.py',
    'RetinaNet': 'retinanet/retinanet_r18_wider_dark.py',
    'YOLOX': 'yolox/yolox_tiny_wider_dark.py',
    'FCOS': 'fcos/fcos_r18_wider_dark.py',
    'RTMDet': 'rtmdet/rtmdet_tiny_wider_dark.py',
    'YOLOV3': 'yolov3/yolov3_d53_wider_dark.py',
}
SMALLER = {
    'DINO': dict(
        num_queries=10,
        encoder=dict(num_layers=1),
        decoder=dict(num_layers=1),
        backbone=dict(depth=18),
        neck=dict(in_channels=[128, 256, 512]),
        test_cfg=dict(max_per_img=10),
    ),
    'FasterRCNN': dict(
        backbone=dict(depth=18),
        neck=dict(in_channels=[64, 128, 256, 512]),
        roi_head=dict(bbox_head=dict(fc_out_channels=64)),
    ),
}
"""What makes a detector quicker to build and to run, and leaves each kind of layer in it."""
FACES = ([[10.0, 12, 42, 44], [60, 20, 90, 52]], [[4.0, 4, 50, 60]])


def small(path: str | Path) -> ConfigDict:
    """The model of a config, without weight files and with the teacher that needs none."""
    model = Config.fromfile(CONFIGS / path).model
    model.detector.merge(SMALLER.get(model.detector.type, {}))
    model.detector.backbone.init_cfg = None
    model.enhancer = dict(type='MaxRGBRetinex', kernel_size=5)
    return model


def build(model: ConfigDict) -> nn.Module:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = MODELS.build(deepcopy(model))  # some detectors write into their config
    built.init_weights()
    return built


def has_roi_align() -> bool:
    """Whether the op of two-stage detectors is here, compiled, of mmcv or of torchvision."""
    try:
        roi_align(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2)
    except InputError:
        return False
    return True


def raw(size: tuple[int, int] = (64, 96)) -> tuple[list[Tensor], list[DetDataSample]]:
    """Two images as a loader gives them, and their faces."""
    generator = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for _ in FACES]
    return images, samples_of(*FACES, size=size)
