"""Trainings of the lite detector on the device: finite in every mode, no waits, checkpoints that change places."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmdark.apis import enable_amp, settle_for_gpu
from mmdark.compat import read_checkpoint
from tests.host_waits import host_waits
from tests.tiny_wider import lite_config, write_wider

pytestmark = pytest.mark.gpu

STEPS = 20
TRAJECTORY = 1e-3
"""Relative, of a parameter's largest number, after a few steps on one device or another."""


@pytest.fixture(scope='module')
def wider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wider(tmp_path_factory.mktemp('data') / 'wider', train=8, val=1)


def config(wider: Path, work_dir: Path, iterations: int, **options: Any) -> Config:
    """With SGD: Adam divides by the size of a gradient, also where that is rounding alone."""
    cfg = lite_config(wider, work_dir, iterations, options)
    cfg.optim_wrapper.optimizer = dict(type='SGD', lr=1e-3, momentum=0.9)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.name = cfg.experiment_name  # one of the same name goes on writing to its own folder
    return cfg


def logged(work_dir: Path) -> list[dict[str, float]]:
    (scalars,) = work_dir.rglob('scalars.json')
    return [json.loads(line) for line in scalars.read_text().splitlines()]


@pytest.mark.parametrize('mode', ['bfloat16', 'bfloat16, channels last', 'bfloat16, compiled', 'float16'])
def test_every_loss_is_finite(mode: str, wider: Path, tmp_path: Path, device: str, runs_on: Callable) -> None:
    if mode == 'float16' and device == 'cpu':
        pytest.skip("mmengine's AmpOptimWrapper needs CUDA")
    cfg = config(wider, tmp_path, STEPS)
    if mode == 'float16':
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
    else:
        enable_amp(cfg)
    if 'channels last' in mode:
        cfg.custom_hooks = [dict(type='ChannelsLast')]
    if 'compiled' in mode:
        backend = 'inductor' if device == 'cuda' else 'aot_eager'
        cfg.custom_hooks = [dict(type='CompileParts', parts=['reflectance_decoder', 'backbone.stem'], backend=backend)]
    runner = Runner.from_cfg(cfg)
    runner.train()
    log = logged(tmp_path)
    assert len(log) == STEPS and next(runner.model.parameters()).device.type == device
    assert all(math.isfinite(line[name]) for line in log for name in line if 'loss' in name)
    assert log[-1]['loss'] != log[0]['loss']


@contextmanager
def device_waits(device: str) -> Iterator[list]:
    """What makes the host wait: of CUDA, what torch warns of."""
    if device == 'cpu':
        with host_waits() as asked:
            yield asked
        return
    torch.cuda.set_sync_debug_mode('warn')
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            waits: list = []
            yield waits
        waits.extend(str(each.message) for each in caught if 'synchroniz' in str(each.message))
    finally:
        torch.cuda.set_sync_debug_mode('default')


def test_the_host_waits_for_the_log_alone(
    wider: Path, tmp_path: Path, device: str, runs_on: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of each fifth iteration reads the losses, and torch's peak of the memory."""
    cfg = config(wider, tmp_path, 16, **{'train_dataloader.num_workers': 1, 'train_dataloader.batch_size': 1})
    cfg.default_hooks.logger.interval = 5
    cfg.default_hooks.runtime_info.later = True
    cfg.model.detector.neck.norm_cfg = dict(type='GN', num_groups=1)  # batch norm wants two values a channel
    if device == 'cuda':
        settle_for_gpu(cfg)
    else:
        stack = 'mmengine.model.base_model.data_preprocessor.stack_batch'
        monkeypatch.setattr(stack, lambda images, *_: torch.stack(images))
    runner = Runner.from_cfg(cfg)
    loop = runner._train_loop = runner.build_train_loop(runner._train_loop)
    run_iter, waits = loop.run_iter, []

    def counted(*given: Any) -> None:
        with device_waits(device) as asked:
            run_iter(*given)
        waits.append(asked)

    loop.run_iter = counted
    runner.train()
    at_log = {5, 8, 13, 16}  # eight make an epoch, whose last one is logged, too
    quiet = {place: asked for place, asked in enumerate(waits, start=1) if place not in at_log and place > 1}
    assert len(quiet) == 11 and all(not asked for asked in quiet.values()), quiet
    assert 1 <= len(waits[4]) <= 4, waits[4]


def weights_after(work_dir: Path, iteration: int) -> dict[str, torch.Tensor]:
    return read_checkpoint(work_dir / f'iter_{iteration}.pth')['state_dict']


def check_near(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.device.type == other[name].device.type == 'cpu'
        difference = (value.double() - other[name].double()).abs().max()
        assert float(difference) <= TRAJECTORY * max(float(value.abs().max()), 1e-3), name


@pytest.mark.parametrize('way', ['from the CPU', 'to the CPU'])
def test_a_checkpoint_goes_on_elsewhere(
    way: str, wider: Path, tmp_path: Path, device: str, runs_on: Callable[[str], None]
) -> None:
    """Two iterations here and two there, beside four in one place."""
    first, second = ('cpu', device) if way == 'from the CPU' else (device, 'cpu')
    options = {'default_hooks.checkpoint.interval': 2, 'param_scheduler.total_steps': 4}
    runs_on(first)
    Runner.from_cfg(config(wider, tmp_path / 'whole', 4, **options)).train()
    runs_on(second)
    cfg = config(wider, tmp_path / 'moved', 4, **options)
    cfg.load_from, cfg.resume = str(tmp_path / 'whole' / 'iter_2.pth'), True
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert next(runner.model.parameters()).device.type == second
    check_near(weights_after(tmp_path / 'whole', 4), weights_after(tmp_path / 'moved', 4))


def test_a_deterministic_training_has_the_same_bits_twice(wider: Path, tmp_path: Path, runs_on: Callable) -> None:
    weights = []
    try:
        for name in 'ab':
            cfg = config(wider, tmp_path / name, 3)
            cfg.randomness = dict(seed=0, deterministic=True)
            Runner.from_cfg(cfg).train()
            weights.append(weights_after(tmp_path / name, 3))
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.deterministic = False
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
