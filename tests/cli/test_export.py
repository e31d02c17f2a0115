"""``mmdark export``: the name decides the format, and options of another format are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mmdark.cli import main


@pytest.mark.parametrize('flags', [[], ['--half'], ['--format', 'pth']], ids=str)
def test_weights_alone(tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    weight = torch.rand(3, 2)
    torch.save({'state_dict': {'a': weight}, 'optimizer': {}}, tmp_path / 'a.pth')
    assert main(['export', str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth'), *flags]) == 0
    written = torch.load(tmp_path / 'b.pth', weights_only=True)['state_dict']
    assert torch.equal(written['a'], weight.half() if '--half' in flags else weight)
    assert capsys.readouterr().out.startswith(f'{tmp_path / "b.pth"}: 1 tensors')


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['a', 'b.txt'], 'b.txt: name it *.pth or *.safetensors or *.onnx'),
        (['a', 'b.pth', '--format', 'onnx'], 'b.pth: name it *.onnx'),
        (['a', 'b.pth', '--no-nms'], '--no-nms is for ONNX files only'),
        (['a', 'b.safetensors', '--size', '64', '64'], '--size is for ONNX files only'),
        (['none.pth', 'b.pth'], 'checkpoint none.pth does not exist'),
        (['none.pth', 'b.onnx'], 'checkpoint none.pth does not exist'),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['export', *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f'error: {said}') and error.count('\n') == 1
