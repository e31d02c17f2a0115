"""The example for whoever deploys a file: it runs where there is no mmdark and no PyTorch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdark.deploy import export_onnx
from tests.deploy.lite_detector import differences, in_mmdet, lite_detector

pytest.importorskip('onnx', reason='the extra onnx is not installed')
pytest.importorskip('onnxruntime', reason='the extra onnx is not installed')

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / 'tools' / 'deployment' / 'onnx_faces.py'
BLOCKED = ('mmcv', 'mmdark', 'mmdet', 'mmengine', 'onnx', 'torch')


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess:
    """The example in a Python that cannot import what it must not need."""
    (folder / 'sitecustomize.py').write_text(f'import sys\nsys.modules.update(dict.fromkeys({BLOCKED}))\n')
    command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    environment = {**os.environ, 'PYTHONPATH': str(folder)}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def test_it_finds_what_mmdet_finds(tmp_path: Path) -> None:
    detector = lite_detector()
    export_onnx(detector, tmp_path / 'faces.onnx', check=False)
    photo = np.random.default_rng(0).integers(0, 256, (120, 161, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'night.png'), photo)
    done = run(tmp_path, 'faces.onnx', 'night.png', '--score', 0.4)
    assert done.returncode == 0, done.stderr
    faces = json.loads((tmp_path / 'night_faces.json').read_text())
    assert done.stdout == f'{len(faces)} faces: night_faces.jpg, night_faces.json\n'
    ((boxes, scores),) = in_mmdet(detector, [photo])
    boxes = boxes[scores >= 0.4].clip(0, [161, 120, 161, 120])
    found = np.array([face['box'] for face in faces]), np.array([face['score'] for face in faces])
    box, score, matched = differences((boxes, scores[scores >= 0.4]), found)
    assert len(boxes) > 10 and box <= 0.5 and score <= 1e-3 and matched >= 0.98
    drawn = cv2.imread(str(tmp_path / 'night_faces.jpg'))
    assert drawn.shape == photo.shape and (drawn.astype(int) - photo).any()


def test_the_block_holds_and_a_broken_photo_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, 'no.onnx', 'no.png')
    said = 'error: no.png cannot be read as an image: name a JPEG or PNG'
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == said
    code = subprocess.run(
        [sys.executable, '-c', 'import torch'], env={**os.environ, 'PYTHONPATH': str(tmp_path)}, capture_output=True
    )
    assert code.returncode == 1 and b'import of torch halted' in code.stderr
