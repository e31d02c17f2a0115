"""The quickstart end to end, cut short; what it learns in full length, the README says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import cv2
import pytest

from mmdark.compat import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]


def test_quickstart_trains_tests_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location('quickstart', ROOT / 'tools' / 'quickstart.py')
    quickstart = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(quickstart)
    monkeypatch.setattr('sys.argv', ['quickstart.py', '--work-dir', str(tmp_path), '--max-iters', '2'])
    quickstart.main()

    first, *_, score, checkpoint, picture = capsys.readouterr().out.strip().splitlines()
    assert re.match(r'2 faces found on 2 dark portraits in \d+ s, score 0.5 and above, .* mmdark: ', first)
    portraits = tmp_path / 'portraits' / 'pictures'
    assert first.endswith(str(portraits))
    assert len(list(portraits.glob('*.jpg'))) == len(list((tmp_path / 'dark').glob('*.png'))) == 2
    assert score.startswith('AP in the dark: 0.') and score.endswith('on 16 images it never saw')
    assert read_checkpoint(checkpoint.removeprefix('checkpoint: '))['meta']['iter'] == 2
    image = cv2.imread(picture.rpartition(': ')[2])
    light = cv2.imread(str(next((tmp_path / 'data' / 'WIDER_val').rglob('*.jpg'))))
    assert image.shape[1] > 4 * light.shape[1]  # light | dark | reflectance | detections
    assert len(list((tmp_path / 'pictures').glob('*.png'))) == 16
    assert 'Saving checkpoint at 2 iterations' in next(tmp_path.rglob('2*.log')).read_text()
