"""A training that is killed ten times, also while it writes a checkpoint, ends with the bits of one that never was.

A real training: the lite detector, random crops and DarkISP, two workers, validations between. The oracle is the
uninterrupted run. Each life is a fork of a server that has imported everything.
"""

import multiprocessing
import random
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdark.apis import last_checkpoint
from tests import training_lives
from tests.tiny_wider import write_wider

ITERATIONS = 30
INTERVAL = training_lives.TRAINING['default_hooks.checkpoint.interval']
KILLS = 10
PATIENCE = 120
"""Seconds that a life may last."""

Life = Callable[..., ForkServerProcess]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wider(tmp_path_factory.mktemp('wider'), train=12, val=2)


@pytest.fixture(scope='module')
def begin(root: Path) -> Life:
    """Starts a life: (work dir, where its writing is cut) → its process, which shows its ``progress``."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['tests.training_lives'])

    def start(work_dir: Path, cut: tuple[str, str] | None = None) -> ForkServerProcess:
        progress = context.Value('d', -1.0)
        process = context.Process(target=training_lives.live, args=(root, work_dir, ITERATIONS, progress, cut))
        process.start()
        process.progress = progress
        return process

    return start


def ended(process: ForkServerProcess) -> int:
    process.join(PATIENCE)
    return process.exitcode


def kill_in_iteration(process: ForkServerProcess, iteration: int, delay: float) -> None:
    """Kill it ``delay`` seconds after this iteration, or a later one, has begun."""
    limit = time.monotonic() + PATIENCE
    while process.progress.value < iteration and process.is_alive() and time.monotonic() < limit:
        time.sleep(0.002)
    time.sleep(delay)
    process.kill()


def content(path: Path) -> dict[str, Any]:
    """A checkpoint, as anybody reads it."""
    assert not [
        known for known in torch.serialization.get_safe_globals() if 'mm' in str(getattr(known, '__module__', known))
    ]
    return torch.load(path, weights_only=True)


def differences(one: Any, other: Any, where: str = '') -> list[str]:
    """Where two parts of checkpoints differ in a bit."""
    if isinstance(one, torch.Tensor):
        return [] if one.dtype == other.dtype and torch.equal(one, other) else [where]
    if isinstance(one, dict) and one.keys() == other.keys():
        return [found for key in one for found in differences(one[key], other[key], f'{where}.{key}')]
    if isinstance(one, (list, tuple)) and len(one) == len(other):
        return [f for i, pair in enumerate(zip(one, other, strict=True)) for f in differences(*pair, f'{where}.{i}')]
    return [] if one == other else [where]


@pytest.fixture(scope='module')
def whole(begin: Life, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work dir of the uninterrupted run."""
    work_dir = tmp_path_factory.mktemp('whole')
    assert ended(begin(work_dir)) == 0
    return work_dir


def assert_same_end(work_dir: Path, whole: Path) -> None:
    names = sorted(path.name for path in whole.glob('*.pth'))
    assert sorted(path.name for path in work_dir.glob('*.pth')) == names and f'iter_{ITERATIONS}.pth' in names
    for name in names:
        found, wanted = content(work_dir / name), content(whole / name)
        parts = [part for part in ('state_dict', 'optimizer', 'param_schedulers') if part in wanted]
        assert [part for part in parts if differences(found[part], wanted[part], part)] == []
        assert differences(found['meta']['iter'], wanted['meta']['iter']) == []
    best = [content(folder / names[-1])['message_hub']['runtime_info']['best_score'] for folder in (work_dir, whole)]
    assert best[0] == best[1]
    assert not list(work_dir.glob('.*.part'))


def test_ten_kills_change_nothing(begin: Life, whole: Path, tmp_path: Path) -> None:
    draw = random.Random(5)
    moments = sorted(draw.sample(range(2 * ITERATIONS - 2), KILLS))
    reached = []
    for number, moment in enumerate(moments):
        if number % 2:  # in the writing of the next checkpoint
            stands = int(Path(last_checkpoint(str(tmp_path)) or 'iter_0').stem.removeprefix('iter_'))
            step = min(max(moment // 2, stands) // INTERVAL * INTERVAL + INTERVAL, ITERATIONS)
            process = begin(tmp_path, (training_lives.POINTS[number // 2 % 4], f'iter_{step}.pth'))
        else:
            process = begin(tmp_path)
            kill_in_iteration(process, moment / 2, draw.uniform(0, 0.1))
        assert ended(process) == -9
        reached.append(process.progress.value)
    assert ended(begin(tmp_path)) == 0
    assert_same_end(tmp_path, whole)
    print('killed after the beginning of iterations', reached)
