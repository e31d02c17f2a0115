"""Adapt the detector that comes with mmdark to data of your own, then detect with it.

The data is a folder in the COCO format, written by ``shapes.py``; VOC, YOLO and WIDER FACE work in the same way.
Half a minute on one CPU core, in the repository's folder:

    python examples/own_data.py
"""

from pathlib import Path

from shapes import make_shapes

from mmdark.cli import main

WORK_DIR = Path('work_dirs/examples')

data = make_shapes(WORK_DIR / 'shapes')
tuned = WORK_DIR / 'own_data'
main(['finetune', str(data), '--work-dir', str(tuned), '--iterations', '5', '--batch-size', '1'])
main(['detect', str(data / 'val'), '--weights', str(tuned / 'finetuned.pth'), '--out-dir', str(tuned / 'detected')])
