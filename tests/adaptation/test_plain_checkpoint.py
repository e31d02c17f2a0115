"""What DAI-Net trained is a checkpoint of the detector: MMDetection loads it strictly where there is no mmdark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmdark.cli import export
from mmdark.errors import InputError

from .hosts import HOSTS, build, small

WITHOUT_MMDARK = """
import sys, types
sys.modules['mmdark'] = None  # any import of it fails
ops = types.ModuleType('mmcv._ext')  # mmcv-lite has no compiled ops; nothing here calls one
ops.__getattr__ = lambda name: None if name.startswith('__') else (lambda *args: 1 / 0)
sys.modules['mmcv._ext'] = ops

import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config

register_all_modules()
for folder in sys.argv[1:]:
    model = MODELS.build(Config.fromfile(f'{folder}/plain.py').model)
    checkpoint = torch.load(f'{folder}/out.pth', weights_only=True)
    model.load_state_dict(checkpoint['state_dict'], strict=True)
    assert checkpoint['meta']['dataset_meta']['classes'] == ('face',), checkpoint['meta']
    first = next(model.parameters())
    print(type(model).__name__, f'{float(first.double().sum()):.6f}')
assert not [name for name in sys.modules if name.startswith('mmdark') and sys.modules[name]]
"""


def export_detector(host: str, folder: Path) -> str:
    """``plain.py`` and ``out.pth`` of a host in ``folder``; its name and a sum of its weights."""
    cfg = small(HOSTS[host])
    model = build(cfg)
    checkpoint, out, config = (folder / name for name in ('iter_1.pth', 'out.pth', 'plain.py'))
    torch.save({'state_dict': model.state_dict(), 'meta': {'dataset_meta': {'classes': ('face',)}}}, checkpoint)
    assert export.run([str(checkpoint), str(out), '--detector']) == 0
    cfg.detector.data_preprocessor.pop('batch_augments', None)
    Config(dict(default_scope='mmdet', model=cfg.detector.to_dict())).dump(config)
    assert 'mmdark' not in config.read_text(encoding='utf-8')
    return f'{host} {float(next(model.detector.parameters()).detach().double().sum()):.6f}'


def test_it_loads_strictly_without_mmdark(tmp_path: Path) -> None:
    """All hosts in one process, since its start takes longest."""
    folders = [tmp_path / host for host in HOSTS]
    for folder in folders:
        folder.mkdir()
    wanted = [export_detector(folder.name, folder) for folder in folders]
    command = [sys.executable, '-c', WITHOUT_MMDARK, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-len(wanted) :] == wanted


def test_an_onnx_file_is_the_detector_anyway() -> None:
    with pytest.raises(InputError, match=r'^--detector is for weights'):
        export.run(['a.pth', 'a.onnx', '--detector'])
