"""The published models, an eighth as wide and without weight files."""

from __future__ import annotations

from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CHANNELS = [32, 64, 64, 128, 64, 32]
TEACHERS = dict(
    retinex=dict(type='RetinexNet', channels=4), max_rgb=dict(type='MaxRGBRetinex', kernel_size=5), none=None
)


def tiny(model: ConfigDict) -> ConfigDict:
    """``model``, or the detector in it, with an eighth of the widths."""
    detector = model.get('detector', model)
    detector.backbone.update(widen_factor=0.125, init_cfg=dict(type='Kaiming', layer='Conv2d'))
    detector.neck.in_channels = CHANNELS
    for shot in ('first_shot', 'second_shot'):
        detector.bbox_head[shot].in_channels = CHANNELS
    return model


def tiny_dai_net(teacher: str = 'retinex') -> nn.Module:
    model = tiny(Config.fromfile(CONFIGS / 'dsfd_dark_wider.py').model)
    model.enhancer = TEACHERS[teacher]
    model.reflectance_decoder.in_channels = 8
    return _built(model)


def tiny_dsfd() -> nn.Module:
    return _built(tiny(Config.fromfile(CONFIGS / 'dsfd' / 'dsfd_vgg16_wider.py').model))


def _built(model: ConfigDict) -> nn.Module:
    torch.manual_seed(0)
    built = MODELS.build(model)
    built.init_weights()
    return built.train()


def samples_of(*faces: list[list[float]], size: tuple[int, int] = (64, 96)) -> list[DetDataSample]:
    """A data sample for each list of boxes, x1 y1 x2 y2 in pixels."""
    samples = []
    for boxes in faces:
        sample = DetDataSample(
            metainfo=dict(img_shape=size, pad_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), img_path='a.jpg')
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(boxes).view(-1, 4), labels=torch.zeros(len(boxes), dtype=torch.long)
        )
        samples.append(sample)
    return samples


def pair_of(batch: int = 2, size: tuple[int, int] = (64, 96), seed: int = 0) -> dict[str, Tensor]:
    """Light images and their quarter."""
    light = torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed))
    return dict(light=light, dark=0.25 * light)
