"""Adapt a detector of your own to the dark: train it, export a plain checkpoint, load that in MMDetection alone.

The detector is described in ``atss_shapes.py`` (a plain config of MMDetection), its adaptation in
``atss_shapes_dark.py``. Half a minute on one CPU core, in the repository's folder:

    python examples/own_detector.py
"""

import mmdark.register  # noqa: F401  with mmcv-lite it must come before mmdet.models

# isort: split
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from shapes import make_shapes

from mmdark.cli import main

HERE = Path(__file__).resolve().parent
WORK_DIR = Path('work_dirs/examples')
PLAIN = WORK_DIR / 'atss.pth'

make_shapes(WORK_DIR / 'shapes')
main(['train', str(HERE / 'atss_shapes_dark.py'), '--work-dir', str(WORK_DIR / 'own_detector')])
main(['export', str(WORK_DIR / 'own_detector' / 'iter_5.pth'), str(PLAIN), '--detector'])

detector = MODELS.build(Config.fromfile(HERE / 'atss_shapes.py').model)
detector.load_state_dict(torch.load(PLAIN, weights_only=True)['state_dict'])
print(f'{PLAIN} is a checkpoint of {type(detector).__name__}: MMDetection loads it without mmdark')
