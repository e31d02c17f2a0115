"""The rows of each host in docs/results.md differ in what they claim, start from the same detector and see as much."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

FOLDER = Path(__file__).resolve().parents[1] / 'configs' / 'host_study'
HOSTS = ('rtmdet_tiny', 'retinanet_r18', 'gfl_mobilenetv2')
ROWS = ('day-only', 'augmentation-only', 'dai-net')
every_host = pytest.mark.parametrize('host', HOSTS)


def row(host: str, name: str) -> Config:
    return Config.fromfile(FOLDER / f'{host}_{name}.py')


def test_no_config_is_left_out() -> None:
    assert {path.stem for path in FOLDER.glob('*.py')} == {
        f'{host}_{name}' for host in HOSTS for name in (*ROWS, 'start')
    }


@every_host
def test_rows_have_the_same_budget_start_and_test(host: str) -> None:
    day, *others = (row(host, name) for name in ROWS)
    start = row(host, 'start')
    assert day.load_from == f'work_dirs/{host}_start/iter_{start.max_iters}.pth'
    for other in others:
        for key in ('load_from', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'randomness', 'input_size'):
            assert other[key] == day[key], key
    for other in (start, *others):
        for key in ('batch_size', 'sampler'):
            assert other.train_dataloader[key] == day.train_dataloader[key]
        assert other.test_dataloader == day.test_dataloader and other.test_evaluator == day.test_evaluator


@every_host
def test_rows_differ_in_darkness_and_losses_alone(host: str) -> None:
    day, dark, dai_net = (row(host, name) for name in ROWS)
    plain, darkened, pairs = (cfg.train_dataloader.dataset.pipeline for cfg in (day, dark, dai_net))
    assert darkened == [*plain[:-1], dict(type='DarkISP', preset='corrected', keep_light=False), plain[-1]]
    assert pairs == [*plain[:-1], dict(type='DarkISP', preset='corrected'), dict(type='PackDarkPair')]
    assert row(host, 'start').model == day.model == dark.model == dai_net.model.detector
    published = Config.fromfile(FOLDER.parent / '_base_' / 'adaptation.py').dai_net
    assert dai_net.model.losses == published.losses and dai_net.model.enhancer == published.enhancer
