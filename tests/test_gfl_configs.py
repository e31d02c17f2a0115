"""The GFL detector: within its size, trains and tests, and its averaged weights go on exactly after a stop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdark.apis import choose_start, load_config
from mmdark.errors import InputError
from tests.tiny_wider import ROOT, write_wider

CONFIG = ROOT / 'configs' / 'gfl' / 'gfl_dark_mobilenetv2_wider.py'
SMALL = {
    'input_size': 64,
    'model.backbone.init_cfg': None,
    'train_dataloader.batch_size': 2,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'default_hooks.checkpoint.interval': 3,
}


def detector(**backbone: Any) -> nn.Module:
    cfg = Config.fromfile(CONFIG).model
    cfg.backbone.update(init_cfg=None, **backbone)
    return MODELS.build(cfg)


def test_size() -> None:
    """At most 6 MB in half precision and 8 GFLOP at 640 x 640, and what the config's docstring says."""
    with torch.device('meta'):
        model = detector().eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            levels, _ = model.bbox_head(model.neck(model.backbone(torch.empty(1, 3, 640, 640))))
    assert [tuple(level.shape[-2:]) for level in levels] == [(80, 80), (40, 40), (20, 20), (10, 10)]
    million, giga = sum(p.numel() for p in model.parameters()) / 1e6, counter.get_total_flops() / 1e9
    assert 2 * million < 6 and giga < 8
    assert f'{million:.1f} M parameters; {giga:.1f} GFLOP' in CONFIG.read_text()


def test_a_step_and_a_test() -> None:
    torch.manual_seed(0)
    model = detector()
    model.init_weights()
    images = [torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8) for _ in range(2)]
    faces = InstanceData(bboxes=torch.tensor([[10.0, 12.0, 42.0, 44.0]]), labels=torch.tensor([0]))
    meta = {'img_shape': (96, 128), 'ori_shape': (96, 128), 'pad_shape': (96, 128), 'scale_factor': (1.0, 1.0)}
    data = dict(inputs=images, data_samples=[DetDataSample(gt_instances=faces, metainfo=meta) for _ in images])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    losses = model.train().train_step(data, OptimWrapper(torch.optim.Adam(model.parameters(), 1e-3)))
    assert {'loss_cls', 'loss_bbox', 'loss_dfl'} <= losses.keys()
    assert all(math.isfinite(value) for value in losses.values())
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    frozen = {name for name in before if name.startswith(('backbone.conv1.', 'backbone.layer1.', 'backbone.layer2.'))}
    assert not changed & frozen and {name for name in before if 'conv.weight' in name} <= changed | frozen
    model.test_cfg.score_thr = model.bbox_head.test_cfg.score_thr = 0.0
    (found, _) = model.eval().test_step(data)
    boxes = found.pred_instances.bboxes
    assert len(boxes) and boxes.shape == (len(found.pred_instances.scores), 4) and torch.isfinite(boxes).all()


def test_missing_weights_name_an_option_that_works() -> None:
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.init_cfg[-1].checkpoint = 'no/such/weights.pth'
    with pytest.raises(
        InputError, match=r'such/weights\.pth.*does not exist.*get it from https://.*without it'
    ) as raised:
        MODELS.build(cfg.model.backbone).init_weights()
    options = dict(word.split('=') for word in str(raised.value).split('--cfg-options ')[1].split())
    changed = load_config(str(CONFIG), {key: None if value == 'None' else int(value) for key, value in options.items()})
    assert changed.model.backbone.init_cfg is None and changed.model.backbone.frozen_stages == -1


def run(root: Path, work_dir: Path, resume: Path | None, **options: Any) -> dict:
    """Train, and return the last checkpoint."""
    cfg = load_config(str(CONFIG), {**SMALL, 'data_root': f'{root}/', **options}, str(work_dir))
    cfg.experiment_name = uuid4().hex
    runner = Runner.from_cfg(cfg)
    choose_start(runner, str(resume) if resume else None)
    runner.train()
    return torch.load(work_dir / f'iter_{runner.iter}.pth', weights_only=True)


def test_resumes_exactly_and_may_end_elsewhere(tmp_path: Path) -> None:
    """In the middle of an epoch, with the moving average, by day and dark; then with another end."""
    root = write_wider(tmp_path / 'wider', train=8)
    whole = run(root, tmp_path / 'a', None, max_iters=6)
    again = run(root, tmp_path / 'b', tmp_path / 'a' / 'iter_3.pth', max_iters=6)
    for part in ('state_dict', 'ema_state_dict'):
        assert whole[part].keys() == again[part].keys()
        assert all(torch.equal(value, again[part][name]) for name, value in whole[part].items())
    moments = [checkpoint['optimizer']['state'] for checkpoint in (whole, again)]
    assert all(torch.equal(value, moments[1][i][name]) for i, one in moments[0].items() for name, value in one.items())
    weight = 'bbox_head.gfl_cls.weight'
    assert not torch.equal(whole['state_dict'][weight], whole['ema_state_dict'][f'module.{weight}'])
    longer = run(root, tmp_path / 'c', tmp_path / 'a' / 'iter_3.pth', max_iters=9)
    assert longer['meta']['iter'] == 9 and longer['param_schedulers'][0]['settings']['max_iters'] == 9
