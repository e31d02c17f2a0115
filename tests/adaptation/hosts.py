"""Detectors of mmdet with DAI-Net around them, small and without weight files."""

from __future__ import annotations

from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from tests.models.tiny_models import CONFIGS, samples_of

HOSTS = {
    'RetinaNet': 'retinanet/retinanet_r18_wider_dark.py',
    'YOLOX': 'yolox/yolox_tiny_wider_dark.py',
    'FCOS': 'fcos/fcos_r18_wider_dark.py',
    'RTMDet': 'rtmdet/rtmdet_tiny_wider_dark.py',
    'YOLOV3': 'yolov3/yolov3_d53_wider_dark.py',
}
FACES = ([[10.0, 12, 42, 44], [60, 20, 90, 52]], [[4.0, 4, 50, 60]])


def small(path: str | Path) -> ConfigDict:
    """The model of a config, without weight files and with the teacher that needs none."""
    model = Config.fromfile(CONFIGS / path).model
    model.detector.backbone.init_cfg = None
    model.enhancer = dict(type='MaxRGBRetinex', kernel_size=5)
    return model


def build(model: ConfigDict) -> nn.Module:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = MODELS.build(model)
    built.init_weights()
    return built


def raw(size: tuple[int, int] = (64, 96)) -> tuple[list[Tensor], list[DetDataSample]]:
    """Two images as a loader gives them, and their faces."""
    generator = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for _ in FACES]
    return images, samples_of(*FACES, size=size)
