"""The page about a GPU: its command, rehearsed on a CPU, and what it makes of its numbers."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import gpu_report
from benchmarks.gpu_report import measured, page
from benchmarks.records import Plan
from tests.tiny_wider import ROOT

TOOL = str(ROOT / 'tools' / 'analysis_tools' / 'gpu_report.py')
PLACE = dict(device='some GPU', threads=1, load=0.1, torch='2', python='3', commit='abc', date='today')


def side(speed: float, memory: int, batch: int) -> dict:
    return dict(
        seconds=batch / speed,
        spread=[batch / speed] * 2,
        batch=batch,
        images_per_second=speed,
        memory=memory,
        tflops=None,
        share_of_peak=None,
    )


def record(subject: str, ours: dict, published: dict | None = None) -> dict:
    entry = dict(subject=subject, name=f'the {subject}', modes=['amp'], ours=ours, same_result=None)
    return entry if published is None else {**entry, 'published': published, 'ratios': [4.0]}


def test_targets_are_held_against_what_was_measured() -> None:
    records = [
        record('isp', side(2999.0, 0, 16)),
        record('train', side(240.0, 16 << 30, 16), side(60.0, 24 << 30, 8)),
        record('train', side(300.0, 16 << 30, 16)),
    ]
    content = dict(machine=PLACE, records=records, left_out=['detect (the 6 minutes were over)'], minutes=1.5)
    content['profile'] = dict(rows=[('conv', 12.5, 0.8)], idle=0.25)
    content['curve'] = dict(float32=[2.0] * 60, bfloat16=[2.1] * 50 + [2.0] * 10)
    found = measured(content)
    assert found == dict(isp=2999.0, train=240.0, ratio=4.0, memory=pytest.approx(1 / 3), idle=0.25)
    lines = page(content).splitlines()
    rows = {line.split(' | ')[0].removeprefix('| '): line.split(' | ')[-1].removesuffix(' |') for line in lines}
    assert (
        rows['DarkISP, images/s'] == 'MISSED' and rows['training step beside the published one, times as fast'] == 'met'
    )
    assert rows["peak memory an image in training, of the published step's"] == 'met'
    assert rows['share of the time in which the GPU idles'] == 'MISSED'
    assert '| test forward with detections, bfloat16, images/s | at least 800 | - |  |' in lines
    assert '| 1 to 50 | 2.0000 | 2.1000 | +5.00% |' in lines and '| 51 to 60 | 2.0000 | 2.0000 | +0.00% |' in lines
    assert '| `conv` | 12.50 | 80.0% |' in lines and any(
        'The GPU idles 25.0% of a training step' in line for line in lines
    )
    assert '- detect (the 6 minutes were over)' in lines and lines[-1] == '1.5 minutes in all.'


def test_the_command_is_rehearsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts of it, because each starts processes."""
    monkeypatch.setattr('benchmarks.gpu_report.run_subject', lambda *given: iter(()))
    monkeypatch.setattr('benchmarks.training.STEPS', 1)
    monkeypatch.setattr('benchmarks.training.WARM', 1)
    monkeypatch.setattr(sys, 'argv', [TOOL, '--device', 'cpu', '--small', '--out', str(tmp_path / 'page')])
    runpy.run_path(TOOL, run_name='__main__')
    content = json.loads((tmp_path / 'page' / 'gpu.json').read_text())
    assert [len(losses) for losses in content['curve'].values()] == [6, 6]
    assert content['curve']['bfloat16'] == pytest.approx(content['curve']['float32'], rel=0.05)
    assert len(content['profile']['rows']) == 10 and content['profile']['idle'] is None
    assert (tmp_path / 'page' / 'gpu.md').read_text().startswith(content['machine']['device'])


def test_a_part_that_would_begin_too_late_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'argv', [TOOL, '--device', 'cpu', '--small', '--out', str(tmp_path), '--minutes', '0'])
    runpy.run_path(TOOL, run_name='__main__')
    assert not (tmp_path / 'gpu.md').exists()


def test_a_part_that_fails_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training and test of the narrow model have nothing published beside them."""
    asked = {}

    def fails_to_train(name: str, settings: object, plan: Plan) -> Iterator[dict]:
        asked[name] = plan.checkout
        if name == 'train':
            raise RuntimeError('out of\nmemory')
        yield record(name, side(1.0, 0, 1))

    monkeypatch.setattr(gpu_report, 'run_subject', fails_to_train)
    monkeypatch.setattr(gpu_report, 'profile_step', lambda settings: dict(rows=[], idle=None))
    monkeypatch.setattr(gpu_report, 'loss_curve', lambda settings, steps, batch: [1.0])
    settings = gpu_report.settings_for('cpu', True, str(tmp_path), 1)
    order = gpu_report.Order(settings, Plan(tmp_path), curve_steps=6, minutes=6.0, small=True)
    content = gpu_report.report(order, tmp_path / 'page')
    assert content['left_out'] == ['train (out of memory)'] * 2
    assert [entry['subject'] for entry in content['records']] == ['isp', 'test', 'loss', 'detect']
    assert asked == dict(isp=tmp_path, train=None, test=None, loss=tmp_path, detect=tmp_path)
    assert '- train (out of memory)' in (tmp_path / 'page' / 'gpu.md').read_text()
