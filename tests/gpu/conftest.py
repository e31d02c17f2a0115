"""What only a GPU can show, beside the CPU: ``pytest tests/gpu``; ``--device cpu`` rehearses it on the CPU alone."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from mmengine.device import utils

os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # before CUDA starts, for the deterministic training


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption('--device', choices=['cuda', 'cpu'], default='cuda', help='where tests/gpu runs')


def asked_device(config: pytest.Config) -> str:
    return config.getoption('--device', 'cuda')


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if asked_device(config) == 'cpu' or torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker('gpu'):
            item.add_marker(pytest.mark.skip(reason='no CUDA here (rehearse it: pytest tests/gpu --device cpu)'))


@pytest.fixture(scope='session')
def device(request: pytest.FixtureRequest) -> str:
    return asked_device(request.config)


@pytest.fixture(autouse=True)
def _float32_is_float32(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Convolutions on a GPU take TF32 by default, ten bits of each number."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.fixture
def runs_on(monkeypatch: pytest.MonkeyPatch, device: str) -> Iterator[object]:
    """``runs_on('cpu')`` has the Runners that follow train there; the device of the tests is the default."""

    def choose(name: str) -> None:
        monkeypatch.setattr(utils, 'DEVICE', name)

    choose(device)
    return choose
