"""The shipped detector on a photograph, and the authors' numbers, on the device."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks.inputs import photo
from mmdark.apis import FaceInferencer
from tests.tiny_wider import ROOT

pytestmark = pytest.mark.gpu

PIXELS, SCORE = 0.5, 1e-3
FACE_SCORE = 0.05
GOLDEN = {'cpu': ('dainet_192x192', 'dark_isp'), 'cuda': ('dainet_192x192', 'dark_isp', 'trajectory_128x160')}
"""Steps of training take a minute on a CPU, where tests/parity has them."""


def test_the_inferencer_finds_the_same(device: str) -> None:
    picture = cv2.imread(str(ROOT / 'docs' / 'images' / 'dark_portraits.jpg'))
    noise = photo((320, 256), np.random.default_rng(0))
    wanted, found = (
        FaceInferencer(device=name, show_progress=False)([picture, noise], pred_score_thr=FACE_SCORE)['predictions']
        for name in ('cpu', device)
    )
    assert len(wanted[0].boxes) >= 2
    for one, other in zip(wanted, found, strict=True):
        assert one.boxes.shape == other.boxes.shape
        if len(one.boxes):
            distances = np.abs(one.boxes[:, None] - other.boxes[None]).max(axis=2)
            nearest = distances.argmin(axis=1)
            assert distances.min(axis=1).max() < PIXELS and len(set(nearest)) == len(nearest)
            assert np.abs(one.scores - other.scores[nearest]).max() < SCORE


def test_in_bfloat16_it_finds_the_same_faces(device: str) -> None:
    picture = cv2.imread(str(ROOT / 'docs' / 'images' / 'dark_portraits.jpg'))
    whole, half = (
        FaceInferencer(device=device, show_progress=False, amp=amp)([picture] * 3)['predictions'][2]
        for amp in (False, True)
    )
    assert len(whole.boxes) == len(half.boxes) >= 1
    assert np.abs(whole.boxes[:, None] - half.boxes[None]).max(axis=2).min(axis=1).max() < 4


def test_parity_with_the_published_numbers(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in GOLDEN[device]:
        for path in (ROOT / 'tests' / 'golden').glob(f'{name}.*'):
            shutil.copy(path, tmp_path)
    tool = str(ROOT / 'tools' / 'analysis_tools' / 'check_parity.py')
    monkeypatch.setattr(sys, 'argv', [tool, '--golden', str(tmp_path), '--device', device])
    try:
        runpy.run_path(tool, run_name='__main__')
    finally:
        print(capsys.readouterr().out)
    assert not torch.backends.cudnn.allow_tf32
