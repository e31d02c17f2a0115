"""The command line that exports weights; what it writes is tested in ``tests/apis/test_export.py``."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


def export(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, 'argv', ['export_weights', *map(str, arguments)])
    runpy.run_path(str(ROOT / 'tools' / 'model_converters' / 'export_weights.py'), run_name='__main__')


@pytest.mark.parametrize('options', [[], ['--half'], ['--safetensors'], ['--safetensors', '--half']], ids=str)
def test_each_flag_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    source = tmp_path / 'iter_3.pth'
    weight = torch.rand(4, 2)
    torch.save({'state_dict': {'module.a': weight}, 'optimizer': {}, 'meta': {'iter': 3}}, source)
    target = tmp_path / ('a.safetensors' if '--safetensors' in options else 'a.pth')
    if '--safetensors' in options:
        package = pytest.importorskip('safetensors.torch')
    export(monkeypatch, source, target, *options)
    read = package.load_file(target) if '--safetensors' in options else torch.load(target, weights_only=True)
    weights = read if '--safetensors' in options else read.pop('state_dict')
    assert '--safetensors' in options or read == {'meta': {'iter': 3}}
    assert weights.keys() == {'a'} and torch.equal(weights['a'], weight.half() if '--half' in options else weight)
    assert capsys.readouterr().out == f'{target}: 1 tensors, 0.0 MiB (iter 3)\n'


def test_a_mistake_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r'^error: checkpoint .*none\.pth does not exist'):
        export(monkeypatch, tmp_path / 'none.pth', tmp_path / 'a.pth')
