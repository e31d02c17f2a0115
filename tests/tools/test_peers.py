"""The comparison of detectors and the score of what ``mmdark detect`` wrote, as a person calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmdark.inference import DetectionResult
from mmdark.inference.result_files import ResultFiles
from tests.benchmarks.handmade_faces import write_scrfd, write_yunet
from tests.tiny_wider import FACE, write_wider

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / 'tools' / 'analysis_tools' / f'{name}.py', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_table_and_detections(tmp_path: Path) -> None:
    pytest.importorskip('onnx', reason='the extra onnx is not installed')
    pytest.importorskip('onnxruntime', reason='the extra onnx is not installed')
    root = write_wider(tmp_path / 'wider', train=0, val=4)
    distances = np.array([[1.0, 1, 1, 1], [9, 9, -7, -7]])
    done = tool(
        'peers',
        *('--data-root', root, '--ann-file', root / 'wider_face_split' / 'wider_face_val_bbx_gt.txt'),
        *('--yunet', write_yunet(tmp_path / 'y.onnx'), '--scrfd', write_scrfd(tmp_path / 's.onnx', distances)),
        *('--images', 2, '--kinds', 'day', 'dark+gamma', '--out', tmp_path / 'out'),
    )
    assert done.returncode == 0, done.stderr
    rows = [line.strip('| ').split(' | ') for line in done.stdout.splitlines() if line.startswith('|')]
    assert [row[:2] for row in rows[2:]] == [
        [name, kind] for kind in ('day', 'dark+gamma') for name in ('YuNet y', 'SCRFD s', 'mmdark as shipped')
    ]
    assert '2 of 4 images at their own size' in done.stdout and '1 thread(s)' in done.stdout
    assert all(0 <= float(row[2]) <= 100 and float(row[-2]) > 0 for row in rows[2:])
    assert done.stdout.endswith((tmp_path / 'out' / 'table.md').read_text())  # a package of onedl speaks before
    assert (tmp_path / 'out' / 'table.md').read_text().count('\n| ') == len(rows)
    found = json.loads((tmp_path / 'out' / 'mmdark_as_shipped_day.json').read_text())
    assert list(found) == ['0--Noise/val_0.jpg', '0--Noise/val_2.jpg'] and all(map(len, found.values()))
    assert len(list((tmp_path / 'out').iterdir())) == 7


def test_results_of_detect_are_scored_and_converted(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=0)
    x, y, width, height = FACE
    face = [x, y, x + width, y + height]
    files = ResultFiles(tmp_path / 'out', ['json'])
    result = DetectionResult(
        np.array([[0, 0, 5, 50], face], np.float32),
        np.array([0.9, 0.25], np.float32),
        96,
        80,
        f'{root}/0--Noise/val_0.png',  # of a dark copy
    )
    files.add('val_0', result)
    files.close()
    annotation = root / 'wider_face_split' / 'wider_face_val_bbx_gt.txt'
    done = tool('eval_faces', tmp_path / 'out', '--ann-file', annotation, '--out', tmp_path / 'found.json')
    assert done.returncode == 0, done.stderr
    printed = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines() if 'OneDL' not in line)
    assert printed == {'all': '25.0', '>=16': '25.0', '>=32': '25.0', '>=64': 'nan', 'illumination 1': 'nan'}
    assert '1 of 2 images were not looked at' in done.stderr
    found = json.loads((tmp_path / 'found.json').read_text())
    np.testing.assert_allclose(found.pop('0--Noise/val_0.jpg'), [[0, 0, 5, 50, 0.9], [*face, 0.25]])
    assert found == {}
    annotation.write_text(annotation.read_text().replace('0--Noise', '1--Other'))
    done = tool('eval_faces', tmp_path / 'out', '--ann-file', annotation)
    assert done.returncode == 1 and 'share no image: names must end in event/image.jpg' in done.stderr
