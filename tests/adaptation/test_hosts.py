"""DAI-Net around detectors of mmdet: their own losses and predictions, and what was trained is their own checkpoint."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn

from mmdark.apis import load_config
from mmdark.errors import InputError
from tests.models.tiny_models import CONFIGS, samples_of
from tests.tiny_wider import write_wider

from .hosts import FACES, HOSTS, SIZES, build, has_roi_align, raw, small

TERMS = {'mutual', 'decomposition', 'consistency', 'reconstruction', 'smoothness', 'coherence'}
every_host = pytest.mark.parametrize('host', HOSTS)
every_step = pytest.mark.parametrize(
    'host',
    [
        pytest.param(
            host, marks=pytest.mark.skipif(host == 'FasterRCNN' and not has_roi_align(), reason='no roi_align')
        )
        for host in HOSTS
    ],
)


@pytest.fixture(autouse=True)
def first_iteration() -> None:
    """As the Runner tells it, which YOLOX's batch augment asks for."""
    MessageHub.get_current_instance().update_info('iter', 0)


def step(model: nn.Module) -> dict[str, float]:
    """One step on two raw images, which are darkened on the device."""
    images, samples = raw()
    log = model.train().train_step(
        dict(inputs=images, data_samples=samples), OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-4))
    )
    return {name: float(value.detach()) for name, value in log.items()}


@every_step
def test_a_host_trains_and_predicts(host: str) -> None:
    check_step_and_prediction(build(small(HOSTS[host])))


@pytest.mark.parametrize('size', SIZES)
def test_other_sizes_train_and_predict(size: str) -> None:
    check_step_and_prediction(build(small(SIZES[size])))


def test_no_host_is_left_out() -> None:
    paths = {path for folder in HOSTS.values() for path in (CONFIGS / folder).parent.glob('*_dark.py')}
    assert paths == {CONFIGS / name for name in (*HOSTS.values(), *SIZES.values())}


def check_step_and_prediction(model: nn.Module) -> None:
    """The losses are there and add up, both ends of the network learn, and the detector alone finds the same."""
    before = {name: value.clone() for name, value in model.named_parameters()}
    log = step(model)
    assert {*(f'loss_{term}' for term in TERMS), 'loss_cls'} < log.keys()
    assert all(math.isfinite(value) for value in log.values())
    assert log['loss'] == pytest.approx(sum(value for name, value in log.items() if 'loss_' in name), rel=1e-5)
    still = {name for name, value in model.named_parameters() if torch.equal(value, before[name])}
    first = next(name for name in before if name.startswith('detector.backbone.'))
    learns = {first, 'reflectance_decoder.hidden.weight'}
    assert learns <= before.keys() and not learns & still

    images, samples = raw()
    found = model.eval().test_step(dict(inputs=images, data_samples=samples))
    alone = model.detector.test_step(dict(inputs=images, data_samples=raw()[1]))
    for sample, wanted in zip(found, alone, strict=True):
        assert torch.isfinite(sample.pred_instances.bboxes).all()
        assert torch.equal(sample.pred_instances.scores, wanted.pred_instances.scores)


@every_step
def test_the_detectors_losses_are_its_own_on_the_dark_images(host: str) -> None:
    """With the same random draws, and batch norm in eval mode, in which it does not tell what is in the batch."""
    cfg = small(HOSTS[host])
    cfg.data_preprocessor = None
    model, (light, samples) = build(cfg).train(), raw()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    pair = dict(light=light, dark=[image // 4 for image in light])
    with torch.no_grad():
        batch = model.data_preprocessor(dict(inputs=pair, data_samples=samples), True)
        torch.manual_seed(0)
        ours = model.loss(batch['inputs'], batch['data_samples'])
        inner = model.detector.data_preprocessor
        alone = inner(dict(inputs=pair['dark'], data_samples=samples_of(*FACES)), True)
        torch.manual_seed(0)
        theirs = model.detector.loss(alone['inputs'], alone['data_samples'])
    for name, value in theirs.items():
        for one, other in zip(*(x if isinstance(x, list) else [x] for x in (ours[name], value)), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(has_roi_align(), reason='there is roi_align')
def test_faster_rcnn_without_its_op_is_told_what_to_install() -> None:
    with pytest.raises(
        InputError, match=r'has no compiled op roi_align.*torchvision.*(full mmcv|mmcv with its ops)'
    ) as caught:
        step(build(small(HOSTS['FasterRCNN'])))
    assert '\n' not in str(caught.value)


@every_host
def test_weights_have_the_detectors_own_names(host: str) -> None:
    """A strict load into the plain detector, and back from what a plain detector saved."""
    cfg = small(HOSTS[host])
    model = build(cfg)
    with DefaultScope.overwrite_default_scope('mmdet'):
        plain = MODELS.build(deepcopy(cfg.detector))
    own = {name: value for name, value in model.state_dict().items() if not name.startswith('reflectance_decoder.')}
    assert list(own) == list(plain.state_dict())
    plain.load_state_dict(own)
    for value in plain.parameters():
        nn.init.constant_(value, 0.5)
    answer = model.load_state_dict(plain.state_dict(), strict=False)
    assert {name.split('.')[0] for name in answer.missing_keys} == {'reflectance_decoder'}
    assert not answer.unexpected_keys
    assert all((value == 0.5).all() for value in model.detector.parameters())


ATSS = """
model = dict(
    type='ATSS',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4],
                           bgr_to_rgb=True, pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=18, frozen_stages=-1),
    neck=dict(type='FPN', in_channels=[64, 128, 256, 512], out_channels=32, start_level=1,
              add_extra_convs='on_output', num_outs=5),
    bbox_head=dict(
        type='ATSSHead', num_classes=1, in_channels=32, stacked_convs=1, feat_channels=32,
        anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], octave_base_scale=8, scales_per_octave=1,
                              strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[0.1, 0.1, 0.2, 0.2]),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0)),
    train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1, debug=False),
    test_cfg=dict(nms_pre=1000, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.6), max_per_img=100))
"""
AROUND = f"""
_base_ = ['./atss_day.py', '{CONFIGS}/_base_/adaptation.py']

model = dict(
    _base_.dai_net,
    _delete_=True,
    detector=_base_.model,
    tap='backbone.relu',
    reflectance_decoder=dict(type='ReflectanceDecoder', in_channels=64),
)
"""


def test_a_detector_that_no_config_mentions_takes_fifteen_lines(tmp_path: Path) -> None:
    texts = [path.read_text(encoding='utf-8') for path in CONFIGS.rglob('*.py')]
    assert not [text for text in texts if "'ATSS'" in text]
    (tmp_path / 'atss_day.py').write_text(ATSS, encoding='utf-8')
    (tmp_path / 'atss_dark.py').write_text(AROUND, encoding='utf-8')
    model = build(small(tmp_path / 'atss_dark.py'))
    log = step(model)
    assert {f'loss_{term}' for term in TERMS} | {'loss_cls', 'loss_bbox', 'loss_centerness'} < log.keys()
    assert all(math.isfinite(value) for value in log.values())
    images, samples = raw()
    assert len(model.eval().test_step(dict(inputs=images, data_samples=samples))[0].pred_instances) > 0
    for path in (tmp_path / 'atss_dark.py', *(CONFIGS / name for name in (*HOSTS.values(), *SIZES.values()))):
        assert len(path.read_text(encoding='utf-8').strip().splitlines()) <= 15, path


def test_a_detector_with_a_preprocessor_of_its_own(tmp_path: Path) -> None:
    """GFL as in ``configs/gfl``, which standardises the logarithms of the pixels."""
    text = AROUND.replace('./atss_day.py', f'{CONFIGS}/gfl/gfl_dark_mobilenetv2_wider.py')
    (tmp_path / 'gfl.py').write_text(text.replace('backbone.relu', 'backbone.layer1'), encoding='utf-8')
    cfg = small(tmp_path / 'gfl.py')
    cfg.detector.backbone.frozen_stages = -1
    cfg.reflectance_decoder.in_channels = 16
    model = build(cfg)
    log = step(model)
    assert {f'loss_{term}' for term in TERMS} | {'loss_cls', 'loss_bbox', 'loss_dfl'} < log.keys()
    assert all(math.isfinite(value) for value in log.values())
    found = model.eval().test_step(dict(zip(('inputs', 'data_samples'), raw(), strict=True)))
    alone = model.detector.test_step(dict(zip(('inputs', 'data_samples'), raw(), strict=True)))
    for sample, wanted in zip(found, alone, strict=True):
        assert torch.equal(sample.pred_instances.scores, wanted.pred_instances.scores)


def test_dark_configs_state_only_what_differs() -> None:
    for path in (*HOSTS.values(), *SIZES.values()):
        dark, day = (Config.fromfile(CONFIGS / name) for name in (path, path.replace('dark', 'day')))
        assert dark.model.detector == day.model
        assert {key for key in dark.keys() | day.keys() if dark.get(key) != day.get(key)} == {
            'model',
            'dai_net',
            'optim_wrapper',
        }


def test_a_training_and_a_validation_of_a_host(tmp_path: Path) -> None:
    """As ``tools/train.py`` does it, from a checkpoint of the detector by day; the hooks draw and save."""
    root = write_wider(tmp_path / 'wider', train=4, val=2)
    options = {
        'data_root': f'{root}/',
        'input_size': 64,
        'model.detector.backbone.init_cfg': None,
        'model.detector.neck.out_channels': 32,
        'model.detector.bbox_head.in_channels': 32,
        'model.detector.bbox_head.feat_channels': 32,
        'model.detector.bbox_head.stacked_convs': 1,
        'model.enhancer.init_cfg': None,
        'train_cfg.max_epochs': 1,
        'default_hooks.draw_train_panels': {'type': 'DrawTrainPanels', 'interval': 1, 'height': 64},
        'default_hooks.strict_checkpoint.strict': False,
        'load_from': str(tmp_path / 'day.pth'),
        'log_level': 'WARNING',
        'visualizer.name': uuid4().hex,
    }
    for loader in ('train_dataloader', 'val_dataloader'):
        options |= {f'{loader}.num_workers': 0, f'{loader}.persistent_workers': False}
    cfg = load_config(str(CONFIGS / HOSTS['RetinaNet']), options, str(tmp_path / 'work'))
    cfg.experiment_name = uuid4().hex
    with DefaultScope.overwrite_default_scope('mmdet'):
        day = MODELS.build(deepcopy(cfg.model.detector))
    torch.save({'state_dict': day.state_dict(), 'meta': {}}, tmp_path / 'day.pth')
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 1 and runner.message_hub.get_scalar('val/dark/wider/AP').current() >= 0
    moved = [
        float((new - old).detach().abs().max())
        for new, old in zip(runner.model.detector.parameters(), day.parameters(), strict=True)
    ]
    assert 0 < max(moved) < 0.1  # it started from the checkpoint, and learned
    (panels,) = tmp_path.glob('work/*/vis_data/vis_image/train_panels_1.png')
    assert panels.stat().st_size > 1000
    best = next((tmp_path / 'work').glob('best_dark_wider_AP_*.pth'))
    saved = torch.load(best, weights_only=True)['state_dict']
    assert {name.split('.')[0] for name in saved} == {
        'backbone',
        'neck',
        'bbox_head',
        'enhancer',
        'reflectance_decoder',
    }
