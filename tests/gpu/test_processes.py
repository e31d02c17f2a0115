"""Distributed training on one device: NCCL in one process, gloo in two, and SIGTERM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mmdark.compat import read_checkpoint
from tests.meeting import meeting
from tests.tiny_wider import ROOT, write_wider

pytestmark = pytest.mark.gpu

SAME = 1e-4
"""Relative, of losses: two processes add up in another order than one."""


@pytest.fixture(scope='module')
def wider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wider(tmp_path_factory.mktemp('data') / 'wider', train=16, val=1)


def train(wider: Path, work_dir: Path, device: str, ranks: int, stop: int = 0, **options: Any) -> list[Path]:
    """Train as so many processes on one device; where their losses are."""
    work_dir.mkdir()
    options['env_cfg.dist_cfg.backend'] = 'nccl' if device == 'cuda' and ranks == 1 else 'gloo'
    command = [sys.executable, '-m', 'tests.gpu.world', f'{wider}/', str(work_dir), json.dumps(options), str(stop)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'WORLD_SIZE': str(ranks), 'LOCAL_RANK': '0'}
    environment |= {'CUDA_VISIBLE_DEVICES': ''} if device == 'cpu' else {}
    with meeting() as place:
        processes = [
            subprocess.Popen(
                command,
                cwd=ROOT,
                env={**environment, **place, 'RANK': str(rank)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for rank in range(ranks)
        ]
        try:
            said = [process.communicate(timeout=300)[0].decode() for process in processes]
        finally:
            for process in processes:
                process.kill()
    for process, text in zip(processes, said, strict=True):
        assert process.returncode == 0, text[-3000:]
    return [work_dir / f'losses_{rank}.json' for rank in range(ranks)]


def test_one_process_or_two_have_the_same_losses(wider: Path, tmp_path: Path, device: str) -> None:
    """One by NCCL with four images in a step; two by gloo, which may share a device, with two each."""
    options = {'train_cfg.max_iters': 4, 'model.detector.neck.l2norm_scales': []}
    (alone,) = train(wider, tmp_path / 'one', device, 1, **options, **{'train_dataloader.batch_size': 4})
    pair = train(wider, tmp_path / 'two', device, 2, **options, **{'train_dataloader.batch_size': 2})
    one, first, second = (json.loads(path.read_text()) for path in (alone, *pair))
    assert first == second and len(one) == 4
    for ours, theirs in zip(one, first, strict=True):
        assert ours == pytest.approx(theirs, rel=SAME, abs=1e-6)


def test_sigterm_saves_and_ends_well(wider: Path, tmp_path: Path, device: str) -> None:
    """With NCCL the processes ask each other in each tenth iteration; with gloo in each one."""
    options = {'train_cfg.max_iters': 14, 'train_cfg.max_epochs': 4, 'train_dataloader.batch_size': 4}
    train(wider, tmp_path / 'run', device, 1, stop=3, **options)
    (checkpoint,) = (tmp_path / 'run').glob('*.pth')
    done = 10 if device == 'cuda' else 4
    assert checkpoint.name == f'iter_{done}.pth' and read_checkpoint(checkpoint)['meta']['iter'] == done
