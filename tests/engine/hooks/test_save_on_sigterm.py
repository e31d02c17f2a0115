"""SIGTERM: a checkpoint, status 0, and a training that goes on as if nothing had been; workers that stay."""

import multiprocessing
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdark.apis import last_checkpoint
from mmdark.engine.hooks.save_on_sigterm import _start_worker
from mmdark.errors import InputError
from tests import training_lives
from tests.meeting import meeting
from tests.tiny_line import line_runner

SAVE = {'type': 'SaveOnSigterm'}


class Schedule(Hook):
    """Signals this process in an iteration, or in the validation after it, and writes down what happens."""

    priority = 'VERY_HIGH'

    def __init__(self, iteration: int | None = None, validation_after: int | None = None) -> None:
        self.iteration, self.validation_after = iteration, validation_after
        self.seen: list[tuple] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        self.seen.append(('train', runner.iter, data_batch['inputs'].flatten().tolist()))
        if runner.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGTERM)

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        if runner.iter == self.validation_after and batch_idx == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        self.seen.append(('val', runner.iter))


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple], dict[str, Any]]:
    """What the uninterrupted run saw, and its last checkpoint."""
    folder, record = tmp_path_factory.mktemp('whole'), Schedule()
    line_runner(folder, [record, SAVE], epochs=3, interval=100).train()
    return record.seen, torch.load(folder / 'iter_12.pth', weights_only=True)


@pytest.mark.parametrize(
    ('when', 'saved'),
    [
        ({'iteration': 1}, 2),
        ({'iteration': 7}, 8),  # the last of an epoch: its validation is still to come
        ({'iteration': 11}, 12),  # the last of all: it stops in the validation after it
        ({'validation_after': 8}, 8),
        ({'validation_after': 12}, 12),
    ],
    ids=str,
)
def test_stopped_and_resumed_is_uninterrupted(
    tmp_path: Path, whole: tuple[list[tuple], dict[str, Any]], when: dict[str, int], saved: int
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    first, second = Schedule(**when), Schedule()
    with pytest.raises(SystemExit) as caught:
        line_runner(tmp_path, [first, SAVE], epochs=3, interval=100).train()
    assert caught.value.code == 0 and signal.getsignal(signal.SIGTERM) is handler
    path = last_checkpoint(str(tmp_path))
    assert path == str(tmp_path / f'iter_{saved}.pth')
    line_runner(tmp_path, [second, SAVE], epochs=3, interval=100, resume=path).train()
    assert first.seen + second.seen == whole[0]
    final = torch.load(tmp_path / 'iter_12.pth', weights_only=True)
    for part in ('state_dict', 'optimizer', 'param_schedulers')[: 3 if saved < 12 else 2]:
        assert str(final[part]) == str(whole[1][part])  # stopped in the last validation, the last epoch has ended
    assert signal.getsignal(signal.SIGTERM) is handler


class Signal(Hook):
    """In the first iteration, signals a child of this process, and fails."""

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        self.child = ended_by_sigterm()
        raise RuntimeError('the training fails')


def ended_by_sigterm() -> bool:
    """Whether a forked child, asleep, ends by the signal."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b'.')  # Python forgets signals that come before a fork has ended
        time.sleep(30)
        os._exit(0)
    os.read(reader, 1)
    os.kill(child, signal.SIGTERM)
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM


def test_children_and_failed_trainings_end_by_the_signal(tmp_path: Path) -> None:
    handler, hook = signal.getsignal(signal.SIGTERM), Signal()
    try:
        with pytest.raises(RuntimeError, match='the training fails'):
            line_runner(tmp_path, [hook, SAVE]).train()
        assert hook.child
        asked = []
        left = signal.getsignal(signal.SIGTERM)
        assert left is not handler  # a training that fails cannot take it back
        left.__self__.before = lambda *_: asked.append(True)
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked == [True]
    finally:
        signal.signal(signal.SIGTERM, handler)


def test_epochs_are_resumed_in_their_middle_where_checkpoints_count_epochs(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        line_runner(tmp_path, [Schedule(5), SAVE], by_epoch=True, max_keep_ckpts=1).train()
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['epoch_1.pth', 'iter_6.pth']
    meta = torch.load(tmp_path / 'iter_6.pth', weights_only=True)['meta']
    assert (meta['epoch'], meta['iter']) == (1, 6)


def test_accumulated_gradients_are_not_lost(tmp_path: Path) -> None:
    """Of three iterations a step: asked in the fifth, it stops after the sixth."""
    with pytest.raises(SystemExit):
        line_runner(tmp_path, [Schedule(4), SAVE], interval=99, accumulative_counts=3).train()
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_6.pth']


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('mmdark.engine.whole_file_backend.write_verified', full)
    with pytest.raises(InputError, match=r'iter_2\.pth could not be written \(No space left on device\)'):
        line_runner(tmp_path, [Schedule(1), SAVE], interval=100).train()


def test_it_needs_a_hook_that_saves(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'needs default_hooks\.checkpoint\.type=WholeCheckpoint'):
        line_runner(tmp_path, [SAVE], type='CheckpointHook').train()


class SignalWorkers(Hook):
    """Sends SIGTERM to all workers once, from another process, and looks at them in the next iteration."""

    def __init__(self) -> None:
        self.alive: list[bool] = []
        self.not_ours = set(multiprocessing.active_children())  # workers of other tests, whose loaders still live

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if runner.iter == 1:  # both have begun: each has given a batch
            self.workers = set(multiprocessing.active_children()) - self.not_ours
            subprocess.run(['kill', '-TERM', *(str(worker.pid) for worker in self.workers)], check=True)
            time.sleep(0.3)
        elif runner.iter == 2:
            self.alive = [worker.is_alive() for worker in self.workers]


class Fork(Hook):
    """Forks in an iteration; the child says by its exit status whether SIGTERM would end it without any Python."""

    status: int | None = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        child = os.fork()
        if not child:
            os._exit(5 if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL else 1)
        self.status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self.ours = signal.getsignal(signal.SIGTERM)


@pytest.mark.filterwarnings('ignore:This process.*multi-threaded:DeprecationWarning')
def test_a_forked_process_has_the_handler_of_before(tmp_path: Path) -> None:
    """A pool's worker that is about to block may sleep over one in Python: so mmdet's evaluation hung at times."""
    hook = Fork()
    line_runner(tmp_path, [hook, SAVE], epochs=1).train()
    assert hook.status == 5 and hook.ours is not signal.SIG_DFL


def test_workers_survive_the_schedulers_signal(tmp_path: Path) -> None:
    hook = SignalWorkers()
    runner = line_runner(tmp_path, [hook, SAVE], epochs=1, workers=2)
    runner.train()
    assert hook.alive == [True, True] and runner.iter == 4


def test_a_worker_obeys_its_parent_and_runs_its_own_start() -> None:
    context = multiprocessing.get_context('fork')
    started = context.Value('i', 0)

    def own_start(worker: int) -> None:
        started.value = worker

    def work() -> None:
        partial(_start_worker, own_start)(7)
        time.sleep(60)

    process = context.Process(target=work)
    process.start()
    while not started.value:
        time.sleep(0.01)
    process.terminate()
    process.join(10)
    assert process.exitcode == 0 and started.value == 7


def test_two_processes_stop_after_the_same_iteration(tmp_path: Path) -> None:
    """Only the second is asked, in its own time."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['tests.training_lives'])
    reached = [context.Value('d', -1.0) for _ in range(2)]
    with meeting() as place:
        lives = [
            context.Process(target=training_lives.live_together, args=(rank, place, tmp_path, reached[rank], 5))
            for rank in range(2)
        ]
        for life in lives:
            life.start()
        for life in lives:
            life.join(120)
    assert [life.exitcode for life in lives] == [0, 0]
    assert reached[0].value == reached[1].value == 5
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_6.pth']
