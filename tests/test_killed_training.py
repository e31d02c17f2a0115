"""A training that is ended ten times, in all ways and at all times, ends with the bits of one that never was.

SIGKILL, SIGTERM and Ctrl-C while it starts, trains, writes a checkpoint and validates, on one process and on two. It is
a real training: the lite detector, random crops and DarkISP, a worker, averages of the weights (EMA), a validation
after each epoch, checkpoints by iteration and by time. The oracle is the uninterrupted run. Each life is a fork of a
server that has imported everything. More of them, with other moments::

    MMDARK_TEST_ENDS=200 MMDARK_TEST_SEED=7 python -m pytest tests/test_killed_training.py
"""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdark.apis import last_checkpoint
from tests import training_lives
from tests.meeting import meeting
from tests.tiny_wider import write_wider
from tests.two_processes import fork_server

EPOCH = 4
"""Iterations, also of two processes with half of a batch each."""
EPOCHS = 3
ITERATIONS = EPOCHS * EPOCH
INTERVAL = training_lives.TRAINING['default_hooks.checkpoint.interval']
ENDS = int(os.environ.get('MMDARK_TEST_ENDS', '10'))
"""Of both trainings; those of two processes take longer and are fewer."""
SEED = int(os.environ.get('MMDARK_TEST_SEED', '5'))
PATIENCE = 900
"""Seconds that a life may last."""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

Begin = Callable[..., list[ForkServerProcess]]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wider(tmp_path_factory.mktemp('wider'), train=2 * EPOCH, val=4)


@pytest.fixture(scope='module')
def begin(root: Path) -> Begin:
    """Starts a life: (work dir, processes, signals to itself) → its processes, which show their ``progress``."""
    context = fork_server()

    def start(work_dir: Path, place: dict[str, str] | None, **signals: Any) -> list[ForkServerProcess]:
        processes = []
        for rank in range(2 if place else 1):
            progress = context.Value('d', -1.0)
            there = place and {**place, 'RANK': str(rank), 'WORLD_SIZE': '2'}
            itself = signals if rank == signals.pop('rank', rank) else {}
            arguments = (root, work_dir, ITERATIONS, progress, there)
            process = context.Process(target=training_lives.live, args=arguments, kwargs=itself)
            process.start()
            process.progress = progress
            processes.append(process)
        return processes

    return start


def ended(processes: list[ForkServerProcess]) -> list[int]:
    """How they ended; as a launcher, end the others where one has failed."""
    limit = time.monotonic() + PATIENCE
    while any(process.is_alive() for process in processes) and time.monotonic() < limit:
        if any(process.exitcode not in (None, 0) for process in processes):
            for process in processes:
                process.kill()
        time.sleep(0.005)
    for process in processes:
        process.join(0 if time.monotonic() > limit else None)
    return [process.exitcode for process in processes]


def signal_from_outside(
    processes: list[ForkServerProcess], iteration: float, delay: float, number: int, draw: random.Random
) -> None:
    """Some of the processes, ``delay`` seconds after this iteration has begun; SIGKILL takes all."""
    limit = time.monotonic() + PATIENCE
    while processes[0].progress.value < iteration and processes[0].is_alive() and time.monotonic() < limit:
        time.sleep(0.002)
    time.sleep(delay)
    chosen = processes if number == signal.SIGKILL else draw.sample(processes, draw.randint(1, len(processes)))
    for process in chosen:
        if process.is_alive():
            os.kill(process.pid, number)


def end_a_life(
    begin: Begin, work_dir: Path, world: int, number: signal.Signals, place: str, moment: int, draw: random.Random
) -> str:
    """Begin a life and end it; what happened."""
    stands = int(Path(last_checkpoint(str(work_dir)) or 'iter_0').stem.removeprefix('iter_'))
    with meeting() as address:
        at = address if world == 2 else None
        if place == 'writing':
            step = min(max(moment, stands) // INTERVAL * INTERVAL + INTERVAL, ITERATIONS)
            point = draw.choice(training_lives.POINTS)
            processes = begin(work_dir, at, rank=0, in_writing=(point, f'iter_{step}.pth', number))
            place = f'{point} of iter_{step}.pth'
        elif place == 'validation':
            image = draw.randrange(4 // world)
            processes = begin(work_dir, at, rank=draw.randrange(world), in_validation=(moment, image, number))
        else:
            processes = begin(work_dir, at)
            iteration, delay = (-1, draw.uniform(0, 1.5)) if place == 'start-up' else (moment, draw.uniform(0, 0.1))
            signal_from_outside(processes, iteration, delay, number, draw)
        status = ended(processes)
    return f'{number.name} in {place} at {moment}: {status} after {[p.progress.value for p in processes]}'


def content(path: Path) -> dict[str, Any]:
    """A checkpoint, as anybody reads it; mmdark adds nothing to what torch allows."""
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


def logged_scores(work_dir: Path) -> dict[int, set[float]]:
    """Epoch → the AP that was logged after it, by all lives; a line that a kill cut off is none."""
    scores: dict[int, set[float]] = {}
    for log in work_dir.glob('*/vis_data/scalars.json'):
        for line in log.read_text().splitlines():
            if 'dark/wider/AP' in line and line.endswith('}'):
                entry = json.loads(line)
                scores.setdefault(entry['step'], set()).add(entry['dark/wider/AP'])
    return scores


def assert_same_end(work_dir: Path, whole: Path) -> None:
    names = sorted(path.name for path in whole.glob('*.pth'))
    assert sorted(path.name for path in work_dir.glob('*.pth')) == names and f'iter_{ITERATIONS}.pth' in names
    for name in names:
        found, wanted = content(work_dir / name), content(whole / name)
        parts = [part for part in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers') if part in wanted]
        assert len(parts) == (2 if name.startswith('best') else 4)
        assert [part for part in parts if differences(found[part], wanted[part], part)] == []
        assert differences(found['meta']['iter'], wanted['meta']['iter']) == []
    best = [content(folder / names[-1])['message_hub']['runtime_info']['best_score'] for folder in (work_dir, whole)]
    assert best[0] == best[1]
    assert not list(work_dir.glob('.*.part'))
    scores = logged_scores(whole)
    assert logged_scores(work_dir) == scores and [len(score) for score in scores.values()] == [1] * EPOCHS


@pytest.mark.parametrize('world', [1, 2])
def test_however_often_a_training_is_ended_nothing_changes(begin: Begin, tmp_path: Path, world: int) -> None:
    draw = random.Random(SEED + world)
    whole, often = tmp_path / 'whole', tmp_path / 'often'
    with meeting() as address:
        assert ended(begin(whole, address if world == 2 else None)) == [0] * world
    ends = ENDS * 3 // 5 if world == 1 else ENDS - ENDS * 3 // 5
    places = [('training', 'writing', 'validation', 'start-up')[number % 4] for number in range(ends)]
    signals = [SIGNALS[number % 3] for number in range(ends)]
    draw.shuffle(signals)
    moments = sorted(draw.choices(range(ITERATIONS), k=ends))
    lives = []
    for number, place, moment in zip(signals, places, moments, strict=True):
        lives.append(end_a_life(begin, often, world, number, place, moment, draw))
        print(lives[-1])
    with meeting() as address:
        assert ended(begin(often, address if world == 2 else None)) == [0] * world
    assert_same_end(often, whole)
