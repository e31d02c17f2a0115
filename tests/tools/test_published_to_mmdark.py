"""The converter's command line, and its result in our tools."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch

from mmdark.apis import key_table
from tests.tool_runs import run_tool


def convert(*arguments: object) -> CompletedProcess:
    return run_tool('model_converters/published_to_mmdark', *arguments)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    table = key_table('retinexnet')
    weights = {f'DecomNet.{old}': torch.rand(table.shapes[new]) for old, new in table.names.items()}
    torch.save(weights, tmp_path / 'decomp.pth')
    return tmp_path / 'decomp.pth'


def test_there_and_back(teacher: Path, tmp_path: Path) -> None:
    done = convert(teacher, tmp_path / 'ours.pth')
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        f"{teacher} is RetinexNet's decomposition net, the published teacher: "
        f'14 tensors written to {tmp_path / "ours.pth"}'
    )
    assert convert(tmp_path / 'ours.pth', tmp_path / 'again.pth', '--reverse', '--epoch', 3).returncode == 0
    again, before = (torch.load(path, weights_only=True) for path in (tmp_path / 'again.pth', teacher))
    assert again['epoch'] == 3 and all(torch.equal(value, again['weight'][name]) for name, value in before.items())


def test_errors_are_one_line(teacher: Path, tmp_path: Path) -> None:
    done = convert(teacher, tmp_path / 'out.pth', '--model', 'vgg')
    assert done.returncode == 1 and 'written' not in done.stdout
    assert done.stderr.strip() == (
        f"error: {teacher}: it is not vgg, it seems to be RetinexNet's decomposition net, the published teacher"
    )
    done = convert(tmp_path / 'nowhere.pth', tmp_path / 'out.pth')
    assert done.returncode == 1 and 'nowhere.pth does not exist' in done.stderr and done.stderr.count('\n') == 1
