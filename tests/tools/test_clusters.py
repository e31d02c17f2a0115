"""Several nodes: two torchrun agents on loopback, one of them killed with all it runs and started again; Slurm's words.

The oracle of the restart is the log: the training goes on from a checkpoint of this launch and ends where it should.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

from mmdark.compat import read_checkpoint
from tests.tiny_wider import LITE, QUICKSTART, ROOT, write_wider

ITERATIONS = 32
INTERVAL = 4
PATIENCE = 240
SCRIPTS = sorted((ROOT / 'tools').rglob('*.sh'))


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_bash(script: Path) -> None:
    done = subprocess.run(['bash', '-n', script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, '')


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


class Node:
    """``dist_train.sh`` on one of two nodes, in a session of its own, which dies as a whole."""

    def __init__(self, rank: int, port: int, root: Path, work_dir: Path, log: Path) -> None:
        settings = {
            **LITE,
            'data_root': f'{root}/',
            'max_iters': ITERATIONS,
            'param_scheduler.total_steps': ITERATIONS,
            'default_hooks.checkpoint.interval': INTERVAL,
            'default_hooks.checkpoint.max_keep_ckpts': 2,
            'default_hooks.logger.interval': 1,
            'experiment_name': uuid4().hex,
        }
        environment = {
            **os.environ,
            'NNODES': '2',
            'NODE_RANK': str(rank),
            'MASTER_ADDR': '127.0.0.1',
            'NODE_ADDR': '127.0.0.1',
            'PORT': str(port),
            'RDZV_CONF': 'keep_alive_interval=1,keep_alive_max_attempt=5',
            'CUDA_VISIBLE_DEVICES': '',
            'PYTHONPATH': str(ROOT),
            'OMP_NUM_THREADS': '1',
            'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
            'VIRTUAL_ENV': os.environ.get('VIRTUAL_ENV', sys.prefix),
        }
        options = [f'{key}={value}'.replace(' ', '') for key, value in settings.items()]
        command = ['bash', 'tools/dist_train.sh', str(QUICKSTART), '1', '--work-dir', str(work_dir)]
        self.log = log
        with log.open('w') as file:
            self.process = subprocess.Popen(
                [*command, '--cfg-options', *options],
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def kill(self) -> None:
        """As when the power goes."""
        agent = self.process.pid
        for pid in [agent, *map(int, subprocess.run(['pgrep', '-P', str(agent)], capture_output=True).stdout.split())]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


def test_a_node_that_is_killed_and_started_again_goes_on_with_the_others(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=8, val=2)
    port, work_dir = free_port(), tmp_path / 'out'
    nodes = [Node(rank, port, root, work_dir, tmp_path / f'{rank}.log') for rank in range(2)]
    try:
        limit = time.monotonic() + PATIENCE
        while not (work_dir / 'last_checkpoint').is_file() and time.monotonic() < limit:
            assert all(node.process.poll() is None for node in nodes), nodes[0].log.read_text()[-3000:]
            time.sleep(0.05)
        nodes[1].kill()
        nodes[1] = Node(1, port, root, work_dir, tmp_path / 'again.log')
        try:
            status = [node.process.wait(PATIENCE) for node in nodes]
        except subprocess.TimeoutExpired:
            status = [node.process.poll() for node in nodes]
        said = ''.join(path.read_text() for path in tmp_path.glob('*.log'))
        assert status == [0, 0], '\n'.join(path.read_text()[-3000:] for path in tmp_path.glob('*.log'))
    finally:
        for node in nodes:
            if node.process.poll() is None:
                node.kill()
    found = re.search(r'started again: the training goes on from \S+/iter_(\d+)\.pth', said)
    resumed = int(found[1])
    assert 0 < resumed < ITERATIONS and resumed % INTERVAL == 0
    assert re.search(rf'resumed epoch: \d+, iter: {resumed}\b', said)
    final = read_checkpoint(work_dir / f'iter_{ITERATIONS}.pth')
    assert final['meta']['iter'] == ITERATIONS
    assert {int(state['step']) for state in final['optimizer']['state'].values()} == {ITERATIONS}


@pytest.mark.parametrize(
    ('count', 'given', 'expected'),
    [
        (None, [], []),
        ('0', ['--amp'], ['--amp']),
        ('1', ['--amp'], ['--resume', 'auto', '--amp']),
        ('2', ['--resume', 'a.pth'], ['--resume', 'a.pth']),
    ],
)
def test_a_job_that_slurm_starts_again_resumes(
    tmp_path: Path, count: str | None, given: list[str], expected: list[str]
) -> None:
    """``srun`` stands for Slurm and prints what it is given."""
    (tmp_path / 'srun').write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / 'srun').chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if not key.startswith('SLURM')}
    environment |= {'PATH': f'{tmp_path}{os.pathsep}{os.environ["PATH"]}', 'GPUS': '4'}
    environment |= {'SLURM_RESTART_COUNT': count} if count else {}
    done = subprocess.run(
        ['bash', 'tools/slurm_train.sh', 'gpu', 'night', 'config.py', 'out', *given],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    words = done.stdout.splitlines()
    assert '--ntasks=4' in words and words[words.index('config.py') + 1 :] == [
        '--work-dir=out',
        '--launcher',
        'slurm',
        *expected,
    ]
