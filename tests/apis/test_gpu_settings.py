"""What a config becomes on a GPU, and that it still trains."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmdark.apis import load_config, settle_device, settle_for_gpu
from tests.tiny_wider import lite_config, write_wider

CORES = 24


@pytest.fixture(autouse=True)
def _many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: range(CORES), raising=False)


def test_darkness_moves_to_the_device_and_the_loader_keeps_up() -> None:
    cfg = load_config('dsfd_dark_wider')
    before = cfg.train_dataloader.dataset.pipeline
    lines = settle_for_gpu(cfg)
    after = cfg.train_dataloader.dataset.pipeline
    assert after[:-1] == before[:-2] and after[-1] == dict(type='PackDetInputs')
    assert cfg.model.data_preprocessor == dict(type='DarkPairPreprocessor', dark_isp='corrected')
    assert cfg.model.detector.data_preprocessor.non_blocking
    loaders = cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader
    assert all(loader.pin_memory for loader in loaders)
    assert cfg.train_dataloader.num_workers == 16 and cfg.val_dataloader.num_workers == 2
    assert lines[0] == 'DarkISP (corrected) runs on the GPU, not in the data pipeline'
    assert lines[1].startswith('train_dataloader.num_workers 4 -> 16, for 24 cores and 1 process(es)')
    assert settle_for_gpu(cfg) == []


def test_what_was_set_stays() -> None:
    name = 'train_dataloader.num_workers'
    cfg = load_config('dsfd_dark_wider', {name: 4, 'train_dataloader.pin_memory': False})
    assert settle_for_gpu(cfg, [name])[1:] == []
    assert cfg.train_dataloader.num_workers == 4 and not cfg.train_dataloader.pin_memory
    cfg = load_config('dsfd_dark_wider', {name: 2})
    settle_for_gpu(cfg)
    assert cfg.train_dataloader.num_workers == 2
    cfg = load_config('dsfd_dark_wider')
    settle_for_gpu(cfg, processes=4)
    assert cfg.train_dataloader.num_workers == 24 // 4 - 1


@pytest.mark.parametrize(
    'config',
    ['subset/dsfd_dark_lite_subset_shipped.py', 'gfl/gfl_dark_mobilenetv2_wider.py', 'dsfd/dsfd_vgg16_wider.py'],
)
def test_other_darkness_stays_where_it_is(config: str) -> None:
    """Some images only, without pairs, or none."""
    cfg = load_config(str(Path(__file__).resolve().parents[2] / 'configs' / config))
    before = cfg.train_dataloader.dataset.pipeline
    settle_for_gpu(cfg)
    assert cfg.train_dataloader.dataset.pipeline == before and cfg.train_dataloader.pin_memory
    assert (cfg.model.get('detector') or cfg.model).data_preprocessor.non_blocking


def test_the_preset_goes_along() -> None:
    cfg = load_config(str(Path(__file__).resolve().parents[2] / 'configs/ablations/dsfd_dark_wider_isp-maet.py'))
    settle_for_gpu(cfg)
    assert cfg.model.data_preprocessor.dark_isp == 'maet'


def test_a_cpu_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg, before = (load_config('dsfd_dark_wider') for _ in range(2))
    settle_device(cfg)
    assert cfg._cfg_dict == before._cfg_dict


def test_a_training_settled_for_a_gpu_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', '')
    monkeypatch.delenv('CUBLAS_WORKSPACE_CONFIG')
    cfg = lite_config(write_wider(tmp_path / 'wider', train=4, val=1), tmp_path / 'out', 2)
    cfg.randomness.deterministic = True
    settle_for_gpu(cfg)
    assert os.environ['CUBLAS_WORKSPACE_CONFIG'] == ':4096:8'
    cfg.randomness.deterministic = False
    cfg.train_dataloader.pin_memory = cfg.test_dataloader.pin_memory = False  # torch warns where there is no GPU
    runner = Runner.from_cfg(cfg)
    seen: list[torch.dtype] = []
    preprocess = type(runner.model.data_preprocessor).forward

    def noted(self: object, data: dict, training: bool = False) -> dict:
        seen.extend(image.dtype for image in data['inputs'])
        return preprocess(self, data, training)

    monkeypatch.setattr(type(runner.model.data_preprocessor), 'forward', noted)
    runner.train()
    assert seen == [torch.uint8] * 4
    losses = runner.message_hub.get_scalar('train/loss_decomposition').data[0]
    assert len(losses) == 2 and (losses > 0).all()
