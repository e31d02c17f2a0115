"""The square-root rule: the whole curve of learning rates times one factor, also through a resume.

The oracle is the curve of a training without the hook.
"""

import logging
import math
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor

from mmdark.engine.hooks import SqrtScaleLR
from mmdark.errors import InputError
from tests.tiny_wider import ROOT

SCHEDULES: dict[str, list[dict[str, Any]]] = {
    'none': [],
    'steps': [{'type': 'MultiStepLR', 'milestones': [1, 3], 'gamma': 0.1}],
    'warm-up and cosine': [
        {'type': 'LinearLR', 'start_factor': 0.1, 'end': 3, 'by_epoch': False},
        {'type': 'CosineAnnealingLR', 'begin': 3, 'T_max': 9, 'eta_min': 0.02, 'by_epoch': False},
    ],
    'one cycle': [{'type': 'OneCycleLR', 'eta_max': 0.1, 'total_steps': 12, 'by_epoch': False}],
    'restarts': [
        {'type': 'CosineRestartLR', 'periods': [4, 8], 'restart_weights': [1, 0.5], 'eta_min': 0.01, 'by_epoch': False}
    ],
    'poly': [{'type': 'PolyLR', 'eta_min': 0.01, 'power': 0.9, 'end': 12, 'by_epoch': False}],
}


class Two(BaseModel):
    """Two layers, one with a learning rate of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)

    def forward(self, inputs: Tensor, mode: str = 'loss') -> dict[str, Tensor]:
        return {'loss': (self.other(self.one(inputs)) ** 2).mean()}


class Curve(Hook):
    """Writes down the learning rates of each iteration."""

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.rates: list[list[float]] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.rates.append([group['lr'] for group in runner.optim_wrapper.param_groups])


def make(work_dir: Path, schedule: str, curve: Curve, batch: int = 2, iterations: int = 12, **options: Any) -> Runner:
    """Twelve numbers, so batches of two make six iterations an epoch."""
    accumulated = options.pop('accumulative_counts', 1)
    hooks = options.pop('hooks', {'sqrt_scale_lr': {'type': 'SqrtScaleLR', 'base_batch_size': 4}})
    return Runner(
        model=Two(),
        work_dir=str(work_dir),
        train_dataloader={
            'batch_size': batch,
            'num_workers': 0,
            'dataset': [{'inputs': torch.tensor([float(number)])} for number in range(12)],
            'collate_fn': {'type': 'default_collate'},
            'sampler': {'type': 'ResumableSampler'},
        },
        train_cfg={'type': 'ResumableEpochLoop', 'max_epochs': 20, 'max_iters': iterations},
        optim_wrapper={
            'optimizer': {'type': 'SGD', 'lr': 0.1},
            'paramwise_cfg': {'custom_keys': {'other': {'lr_mult': 0.1}}},
            'accumulative_counts': accumulated,
        },
        param_scheduler=[dict(each) for each in SCHEDULES[schedule]],
        default_hooks={
            'checkpoint': {'type': 'CheckpointHook', 'by_epoch': False, 'interval': max(6, accumulated)},
            **hooks,
        },
        custom_hooks=[curve],
        log_level='WARNING',
        experiment_name=uuid4().hex,
        default_scope='mmdet',
        **options,
    )


def rates(work_dir: Path, schedule: str, **options: Any) -> list[list[float]]:
    curve = Curve()
    make(work_dir, schedule, curve, **options).train()
    return curve.rates


def times(curve: list[list[float]], factor: float) -> Any:
    return [pytest.approx([rate * factor for rate in entry], rel=1e-9) for entry in curve]


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_the_whole_curve_is_scaled(schedule: str, tmp_path: Path) -> None:
    plain = rates(tmp_path / 'plain', schedule, hooks={})
    scaled = rates(
        tmp_path / 'scaled',
        schedule,
        accumulative_counts=6,
        hooks={'sqrt_scale_lr': {'type': 'SqrtScaleLR', 'base_batch_size': 4}},
    )
    assert scaled == times(plain, 1.7321)
    assert len(plain[0]) == 1 + 1 + 2 + 1 and (schedule == 'none' or len({tuple(entry) for entry in plain}) > 1)
    off = {'sqrt_scale_lr': {'type': 'SqrtScaleLR', 'enable': False}}
    assert rates(tmp_path / 'off', schedule, accumulative_counts=6, hooks=off) == plain


def lines_of(runner: Runner) -> list[str]:
    """What a training logs."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda entry: lines.append(entry.getMessage())
    MMLogger.get_current_instance().addHandler(handler)
    MMLogger.get_current_instance().setLevel('INFO')
    runner.train()
    return lines


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_resume_is_scaled_by_the_images_of_today(schedule: str, tmp_path: Path) -> None:
    """From there on as a training that had so many from its beginning."""
    hooks = {
        'sqrt_scale_lr': {'type': 'SqrtScaleLR', 'base_batch_size': 4},
        'resume_by_config': {'type': 'ResumeByConfig'},
    }
    whole = rates(tmp_path, schedule, batch=2, hooks=hooks)
    more = {'resume': True, 'load_from': str(tmp_path / 'iter_6.pth'), 'hooks': hooks}
    assert rates(tmp_path / 'same', schedule, **more) == whole[6:]
    other = rates(tmp_path / 'all', schedule, accumulative_counts=6, hooks=hooks)
    assert rates(tmp_path / 'other', schedule, accumulative_counts=6, **more) == other[6:]
    assert other == times(whole, 1.7321 / 0.7071)


@pytest.mark.parametrize('schedule', ['steps', 'one cycle'])
def test_the_rate_that_is_printed_is_the_one_that_is_used(schedule: str, tmp_path: Path) -> None:
    """A one-cycle schedule goes up to its own, whatever the optimizer's is."""
    curve = Curve()
    runner = make(tmp_path, schedule, curve, accumulative_counts=6)
    runner.optim_wrapper['optimizer']['lr'] = 0.3 if schedule == 'one cycle' else 0.1
    (line,) = (line for line in lines_of(runner) if line.startswith('learning rate'))
    assert line == (
        'learning rate 0.1 x 1.7321 = 0.17321, for 2 images x 1 processes x 6 accumulated = 12 in a step: '
        'sqrt(12 / 4) = 1.7321'
    )
    assert max(entry[-1] for entry in curve.rates) == pytest.approx(0.17321, rel=0.02)


def test_weights_alone_bring_no_rates(tmp_path: Path) -> None:
    whole = rates(tmp_path, 'steps')
    again = rates(tmp_path / 'again', 'steps', load_from=str(tmp_path / 'iter_6.pth'), accumulative_counts=6)
    assert again == times(whole, 1.7321 / 0.7071)


def test_both_rules_at_once_are_refused(tmp_path: Path) -> None:
    linear = {'enable': True, 'base_batch_size': 4}
    with pytest.raises(InputError, match=r'auto_scale_lr\.enable=True \(linear\).*set one of them to False'):
        make(tmp_path, 'none', Curve(), auto_scale_lr=linear).train()
    with pytest.raises(InputError, match='base_batch_size=0 must be positive'):
        SqrtScaleLR(base_batch_size=0)


@pytest.mark.parametrize(
    ('config', 'processes', 'accumulated', 'lr'),
    [
        ('dsfd_dark_wider.py', 1, 1, 5e-4),
        ('dsfd_dark_wider.py', 8, 1, 5e-4 * 2.8284),
        ('dsfd_dark_wider.py', 1, 8, 5e-4 * 2.8284),
        ('ablations/dsfd_dark_wider_as-published.py', 8, 1, 5e-4 * 2.8284),
        ('dsfd/dsfd_vgg16_wider.py', 2, 1, 5e-4 * 1.4142),
        ('dark_face/dsfd_dark_finetune_dark-face.py', 8, 1, 5e-5 * 2.8284),
        ('own_data/dsfd_dark_coco.py', 16, 1, 5e-4 * 4),
        ('retinex/retinexnet_wider.py', 1, 1, 1e-3),
        ('dsfd_dark_lite_wider.py', 1, 1, 1e-3),
    ],
)
def test_published_rule(
    config: str, processes: int, accumulated: int, lr: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reference: 5e-4 · round(sqrt(images on each GPU / 4 · GPUs), 4)."""
    cfg = Config.fromfile(ROOT / 'configs' / config)
    scale = cfg.default_hooks.sqrt_scale_lr
    batch = cfg.train_dataloader.batch_size
    if 'retinex' not in config:
        published = round(math.sqrt(batch / 4 * processes * accumulated), 4)
        assert lr == pytest.approx((5e-5 if 'finetune' in config else cfg.optim_wrapper.optimizer.lr) * published)
    monkeypatch.setattr(Runner, 'world_size', processes)
    curve = Curve()
    runner = make(tmp_path, 'none', curve, batch, 1, accumulative_counts=accumulated, hooks={'sqrt_scale_lr': scale})
    runner.optim_wrapper['optimizer'] = {'type': 'SGD', 'lr': cfg.optim_wrapper.optimizer.lr}
    runner.optim_wrapper['paramwise_cfg'] = None
    runner.train()
    assert curve.rates[0] == pytest.approx([lr] * len(curve.rates[0]), rel=1e-9)
