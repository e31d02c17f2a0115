"""The line on a terminal counts, shows loss, speed, time left and AP, and always gives the terminal back."""

import atexit
from collections.abc import Callable
from io import StringIO
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from mmdark.engine.hooks import LiveProgress

SHOW_CURSOR, HIDE_CURSOR = '\x1b[?25h', '\x1b[?25l'
BATCH = {'data_samples': ['a', 'b', 'c']}


def terminal(force: bool = True) -> Console:
    return Console(file=StringIO(), force_terminal=force, width=160, legacy_windows=False)


def train(hook: LiveProgress, iterations: int, first: int = 0) -> None:
    """What a Runner calls, up to the last iteration."""
    runner = SimpleNamespace(iter=first, max_iters=first + iterations)
    hook.before_train(runner)
    for runner.iter in range(first, first + iterations):
        hook.after_train_iter(runner, 0, BATCH, {'loss': torch.tensor(4.0 / (runner.iter + 1))})


@pytest.mark.parametrize('first', [0, 6])
def test_the_last_line_shows_all_there_is(first: int) -> None:
    console = terminal()
    hook = LiveProgress(console=console)
    train(hook, 4, first)
    hook.after_train(SimpleNamespace())
    line = console.file.getvalue().rsplit('training', 1)[1]
    assert f'{first + 4}/{first + 4}' in line and f'loss {4 / (first + 4):.3f}' in line and 'ETA' in line


def test_a_resumed_training_starts_where_it_is() -> None:
    console = terminal()
    hook = LiveProgress(console=console)
    hook.before_train(SimpleNamespace(iter=6, max_iters=10))
    hook.after_run(SimpleNamespace())
    assert ' 6/10' in console.file.getvalue()


def test_images_a_second_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three images in each of two processes, two iterations a second."""
    monkeypatch.setattr('mmdark.engine.hooks.live_progress.get_world_size', lambda: 2)
    console = terminal()
    hook = LiveProgress(console=console)
    runner, clock = SimpleNamespace(iter=0, max_iters=8), [100.0]
    hook.before_train(runner)
    hook.progress.get_time = lambda: clock[0]
    for runner.iter in range(8):
        clock[0] += 0.5
        hook.after_train_iter(runner, 0, BATCH, {'loss': torch.tensor(1.0)})
    hook.after_train(runner)
    assert '12 img/s' in console.file.getvalue().rsplit('training', 1)[1]


@pytest.mark.parametrize('width', [80, 100, 200])
def test_nothing_is_cut_off_on_a_terminal_of_usual_width(width: int) -> None:
    console = Console(file=StringIO(), force_terminal=True, width=width, color_system=None)
    hook = LiveProgress(console=console)
    runner = SimpleNamespace(iter=30000, max_iters=40300)
    hook.before_train(runner)
    hook.after_val_epoch(runner, {'day/wider/AP': 0.8125, 'dark/wider/AP': 0.4375})
    for runner.iter in range(30000, 30003):
        hook.after_train_iter(runner, 0, BATCH, {'loss': torch.tensor(12.345)})
    hook.after_train(runner)
    line = console.file.getvalue().rsplit('training', 1)[1]
    assert '…' not in line and '30003/40300' in line and 'AP day 0.812 dark 0.438' in line and 'img/s' in line


def test_the_ap_of_the_last_validation_stays_in_sight() -> None:
    console = terminal()
    hook = LiveProgress(console=console)
    hook.before_train(SimpleNamespace(iter=0, max_iters=10))
    for dark in (0.1, 0.4375):
        numbers = {'day/wider/AP': 0.8125, 'day/wider/easy_AP': 0.9, 'dark/wider/AP': dark, 'dark/pal2_loss': 2.0}
        hook.after_val_epoch(SimpleNamespace(), numbers)
    hook.after_train(SimpleNamespace())
    line = console.file.getvalue().rsplit('training', 1)[1]
    assert 'AP day 0.812 dark 0.438' in line and 'easy' not in line and '2.000' not in line


def test_a_validation_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times a second at most; its AP follows."""
    clock = [50.0]
    monkeypatch.setattr('mmdark.engine.hooks.live_progress.time.monotonic', lambda: clock[0])
    console = terminal()
    hook = LiveProgress(console=console)
    runner = SimpleNamespace(iter=0, max_iters=10, val_loop=SimpleNamespace(dataloader=range(8)))
    hook.before_train(runner)
    for image in range(3):
        clock[0] += 0.2
        hook.after_val_iter(runner, image)
    assert hook.progress.tasks[0].fields['scores'] == 'validating 3/8'
    hook.after_val_epoch(runner, {'dark/wider/AP': 0.5})
    hook.after_train(runner)
    assert 'AP dark 0.500' in console.file.getvalue().rsplit('training', 1)[1]


class Loss:
    """Counts how often somebody waits for it."""

    looks = 0

    def item(self) -> float:
        Loss.looks += 1
        return 1.0


@pytest.mark.parametrize(('seconds', 'looks'), [(0.01, 1), (0.1, 4), (1.0, 9)])
def test_the_loss_is_looked_at_four_times_a_second_at_most(
    monkeypatch: pytest.MonkeyPatch, seconds: float, looks: int
) -> None:
    """Nine of a hundred iterations, each of so many seconds; every look makes the CPU wait for the GPU."""
    clock = [50.0]
    monkeypatch.setattr('mmdark.engine.hooks.live_progress.time.monotonic', lambda: clock[0])
    monkeypatch.setattr(Loss, 'looks', 0)
    hook = LiveProgress(console=terminal())
    runner = SimpleNamespace(iter=0, max_iters=100)
    hook.before_train(runner)
    for runner.iter in range(9):
        clock[0] += seconds
        hook.after_train_iter(runner, 0, BATCH, {'loss': Loss()})
    hook.after_train(runner)
    assert Loss.looks == pytest.approx(looks, abs=1 if looks == 4 else 0)


def test_elsewhere_than_on_a_terminal_nothing_is_written() -> None:
    console = terminal(force=False)
    hook = LiveProgress(console=console)
    train(hook, 2)
    hook.after_train(SimpleNamespace())
    assert console.file.getvalue() == '' and hook.progress is None


def test_without_a_terminal_lines_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of four iterations took the second between two looks at the clock: another one is left."""
    seconds = iter(range(100, 200))
    monkeypatch.setattr('mmdark.engine.hooks.live_progress.time.monotonic', lambda: float(next(seconds)))
    console = terminal(force=False)
    train(LiveProgress(plain_interval=2, console=console), 4, first=6)
    lines = console.file.getvalue().splitlines()
    assert lines == ['training 8/10  loss 0.500  ETA 0:00:01', 'training 10/10  loss 0.400  ETA 0:00:00']


def test_without_a_terminal_a_validation_is_one_line() -> None:
    """Where lines are asked for."""
    runner = SimpleNamespace(val_loop=SimpleNamespace(dataloader=range(8)))
    for interval, expected in ((None, ''), (5, 'validating 8\n')):
        console = terminal(force=False)
        hook = LiveProgress(plain_interval=interval, console=console)
        for image in range(3):
            hook.after_val_iter(runner, image)
        assert console.file.getvalue() == expected


def test_other_processes_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mmdark.engine.hooks.live_progress.is_main_process', lambda: False)
    console = terminal()
    train(LiveProgress(console=console), 2)
    plain = terminal(force=False)
    train(LiveProgress(plain_interval=1, console=plain), 2)
    assert console.file.getvalue() == plain.file.getvalue() == ''


@pytest.mark.parametrize('ended', [True, False])
def test_the_cursor_comes_back_even_if_training_breaks_off(monkeypatch: pytest.MonkeyPatch, ended: bool) -> None:
    """An error or Ctrl-C skips the hooks; what is left then is the end of the process."""
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, 'register', at_exit.append)
    console = terminal()
    hook = LiveProgress(console=console)
    train(hook, 2)
    assert HIDE_CURSOR in console.file.getvalue() and SHOW_CURSOR not in console.file.getvalue()
    if ended:
        hook.after_train(SimpleNamespace())
    for function in at_exit:
        function()
    written = console.file.getvalue()
    assert written.count(SHOW_CURSOR) == written.count(HIDE_CURSOR) == 1
    assert hook.progress.finished and not hook.progress.live.is_started
