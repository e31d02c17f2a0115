"""The ETA of the log and of the live line includes the validations that are still to come."""

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from rich.console import Console

from mmdark.engine.hooks import time_left
from mmdark.engine.hooks.time_left import TimeLeft, validations_left
from tests.tiny_line import line_runner


class Clock:
    """One second an iteration, ten a validation."""

    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now


class ReadEta(Hook):
    """After each iteration."""

    priority = 'LOW'

    def __init__(self) -> None:
        self.etas: list[float] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self.etas.append(runner.message_hub.get_info('eta'))


class Tick(Hook):
    """Lets time go by."""

    priority = 'ABOVE_NORMAL'

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self.clock.now += 1

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        self.clock.now += 10


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time_left, 'time', clock)
    monkeypatch.setattr('mmengine.hooks.iter_timer_hook.time', clock)
    return clock


def trained(tmp_path: Path, clock: Clock, **options: Any) -> list[float]:
    read = ReadEta()
    runner = line_runner(tmp_path, [Tick(clock), read, *options.pop('hooks', ())], epochs=3, interval=2, **options)
    runner._hooks = [hook for hook in runner.hooks if type(hook).__name__ != 'IterTimerHook']
    runner.register_hook(TimeLeft())
    runner.train()
    return read.etas


def test_the_eta_is_that_of_iterations_and_validations(tmp_path: Path, clock: Clock) -> None:
    """Four batches an epoch and in a validation; before the first validation, its batches count as iterations."""
    before_the_first = [12 - done + 3 * 4 for done in (1, 2, 3, 4)]
    after = [12 - done + 10 * (2 if done <= 8 else 1) for done in range(5, 13)]
    assert trained(tmp_path, clock) == before_the_first + after


def test_a_resumed_training_knows_how_long_a_validation_takes(tmp_path: Path, clock: Clock) -> None:
    trained(tmp_path, clock)
    assert trained(tmp_path, clock, resume=tmp_path / 'iter_6.pth')[0] == 12 - 7 + 2 * 10


def test_a_training_resumed_before_its_first_validation_counts_its_own_iterations(tmp_path: Path, clock: Clock) -> None:
    trained(tmp_path, clock)
    clock.now += 1000
    assert trained(tmp_path, clock, resume=tmp_path / 'iter_2.pth')[:2] == [12 - 3 + 3 * 4, 12 - 4 + 3 * 4]


def test_the_live_line_and_the_plain_lines_show_it(tmp_path: Path, clock: Clock) -> None:
    console = Console(file=StringIO(), width=160)
    live = dict(type='LiveProgress', plain_interval=6, console=console)
    trained(tmp_path, clock, hooks=[live])
    ends = [line.split()[-1] for line in console.file.getvalue().splitlines()]
    assert [end for end in ends if ':' in end] == ['0:00:26', '0:00:10']  # the others are of validations


@pytest.mark.parametrize(
    ('kind', 'numbers', 'batch_idx', 'left'),
    [
        (EpochBasedTrainLoop, dict(epoch=0, iter=0, max_iters=40, val_begin=1, val_interval=1), 0, 10),
        (EpochBasedTrainLoop, dict(epoch=9, iter=39, max_iters=40, val_begin=1, val_interval=3), 3, 1),
        (EpochBasedTrainLoop, dict(epoch=0, iter=2, max_iters=40, val_begin=5, val_interval=2), 2, 3),
        (EpochBasedTrainLoop, dict(epoch=0, iter=2, max_iters=42, val_begin=1, val_interval=3), 2, 4),
        (EpochBasedTrainLoop, dict(epoch=2, iter=9, max_iters=10, val_begin=1, val_interval=10), 1, 1),
        (IterBasedTrainLoop, dict(epoch=0, iter=9, max_iters=40, val_begin=1, val_interval=10), 9, 4),
        (IterBasedTrainLoop, dict(epoch=0, iter=10, max_iters=45, val_begin=1, val_interval=10), 10, 4),
        (EpochBasedTrainLoop, dict(epoch=0, iter=2, max_iters=16, val_begin=5, val_interval=2), 2, 1),
        (IterBasedTrainLoop, dict(epoch=0, iter=9, max_iters=40, val_begin=50, val_interval=10), 9, 0),
    ],
)
def test_validations_are_counted(kind: type, numbers: dict[str, int], batch_idx: int, left: int) -> None:
    """Four batches an epoch; the oracle is counting by hand."""
    loop = object.__new__(kind)
    loop.dataloader = range(4)
    for name, number in numbers.items():
        setattr(loop, f'_{name}' if name in ('epoch', 'iter', 'max_iters') else name, number)
    assert validations_left(SimpleNamespace(train_loop=loop), batch_idx) == left
