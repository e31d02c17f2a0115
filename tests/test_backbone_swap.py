"""Another backbone: the way that docs/training.md shows works, and the others end in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from mmdark.apis import load_config, run_or_explain
from mmdark.errors import InputError
from tests.models.tiny_models import pair_of, samples_of
from tests.tiny_wider import CHANNELS, ROOT

PAGE = (ROOT / 'docs' / 'training.md').read_text(encoding='utf-8')
(SWAP,) = re.findall(r'^## Another backbone\n.*?```python\n(.*?)```', PAGE, re.MULTILINE | re.DOTALL)
MAIN, DAY = ROOT / 'configs' / 'dsfd_dark_wider.py', ROOT / 'configs' / 'dsfd' / 'dsfd_vgg16_wider.py'
NARROW = [32, 64, 128, 256, 64, 32]
"""Of ResNet-50's maps at an eighth of its widths."""


def config(folder: Path, text: str) -> Config:
    (folder / 'own.py').write_text(text)
    return load_config(str(folder / 'own.py'))


def test_the_way_of_the_page_builds_and_trains_a_step(tmp_path: Path) -> None:
    cfg = config(tmp_path, SWAP.replace("'dsfd_dark_wider.py'", f"'{MAIN}'")).model
    with torch.device('meta'):
        model = MODELS.build(cfg)
    backbone, day = model.detector.backbone, cfg.detector
    assert backbone.out_channels == (*day.neck.in_channels,) and backbone.conv1.out_channels == 64
    day.backbone.widen_factor, cfg.reflectance_decoder.in_channels = 0.125, 8
    cfg.enhancer = dict(type='MaxRGBRetinex')
    for part in (day.neck, day.bbox_head.first_shot, day.bbox_head.second_shot):
        part.in_channels = NARROW
    model = MODELS.build(cfg).train()
    losses = model.loss(pair_of(), samples_of([[8, 8, 40, 40]], [[8, 8, 40, 40]]))
    sum(sum(value) if isinstance(value, list) else value for value in losses.values()).backward()
    assert model.detector.backbone.conv1.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('backbone', ["_delete_=True, type='ResNet', depth=50", "type='ResNet', depth=50"])
def test_a_backbone_that_cannot_be_split_is_one_line(tmp_path: Path, backbone: str) -> None:
    cfg = config(tmp_path, f"_base_ = '{MAIN}'\nmodel = dict(detector=dict(backbone=dict({backbone})))\n").model
    with pytest.raises(
        InputError, match=r"tap='backbone\.stem': DSFD with ResNet has no such layer; near ones: backbone"
    ):
        MODELS.build(cfg)


def test_without_its_arguments_it_is_one_line(tmp_path: Path) -> None:
    cfg = config(tmp_path, f"_base_ = '{MAIN}'\nmodel = dict(detector=dict(backbone=dict(type='ResNet')))\n").model
    with pytest.raises(SystemExit, match=r"the config cannot be built: .*missing 1 required .*'depth'$"):
        run_or_explain(lambda: MODELS.build(cfg))


@pytest.mark.parametrize(
    'backbone', ["_delete_=True, type='ResNet', depth=18", "_delete_=True, type='DarkVGG', widen_factor=0.125"]
)
def test_channels_that_do_not_fit_are_one_line(tmp_path: Path, backbone: str) -> None:
    cfg = config(tmp_path, f"_base_ = '{DAY}'\nmodel = dict(backbone=dict({backbone}))\n").model
    cfg.neck.in_channels = cfg.bbox_head.first_shot.in_channels = cfg.bbox_head.second_shot.in_channels = NARROW
    model = MODELS.build(cfg)
    found = [64, 128, 256, 512] if 'depth' in backbone else CHANNELS
    said = f'the backbone gives maps of {found} channels, but in_channels of the neck is {NARROW}: give the neck'
    with pytest.raises(InputError, match=re.escape(said)):
        model.extract_feat(torch.rand(1, 3, 64, 64))
