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
model = MODELS.build(Config.fromfile(sys.argv[1]).model)
checkpoint = torch.load(sys.argv[2], weights_only=True)
model.load_state_dict(checkpoint['state_dict'], strict=True)
assert checkpoint['meta']['dataset_meta']['classes'] == ('face',), checkpoint['meta']
assert not [name for name in sys.modules if name.startswith('mmdark') and sys.modules[name]]
first = next(parameter for name, parameter in model.named_parameters())
print(type(model).__name__, f'{float(first.double().sum()):.6f}')
"""


@pytest.mark.parametrize('host', HOSTS)
def test_it_loads_strictly_without_mmdark(host: str, tmp_path: Path) -> None:
    cfg = small(HOSTS[host])
    model = build(cfg)
    checkpoint, out, config = (tmp_path / name for name in ('iter_1.pth', 'out.pth', 'plain.py'))
    torch.save({'state_dict': model.state_dict(), 'meta': {'dataset_meta': {'classes': ('face',)}}}, checkpoint)
    assert export.run([str(checkpoint), str(out), '--detector']) == 0
    cfg.detector.data_preprocessor.pop('batch_augments', None)
    Config(dict(default_scope='mmdet', model=cfg.detector.to_dict())).dump(config)
    assert 'mmdark' not in config.read_text(encoding='utf-8')
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_MMDARK, str(config), str(out)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first = next(iter(model.detector.parameters()))
    assert done.stdout.split()[-2:] == [host, f'{float(first.detach().double().sum()):.6f}']


def test_an_onnx_file_is_the_detector_anyway() -> None:
    with pytest.raises(InputError, match=r'^--detector is for weights'):
        export.run(['a.pth', 'a.onnx', '--detector'])
