"""SIGTERM and Ctrl-C: a checkpoint, and a training that goes on as if nothing had been; workers that stay."""

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
from mmdark.engine.hooks import save_on_sigterm
from mmdark.engine.hooks.save_on_sigterm import _start_worker
from mmdark.errors import InputError
from tests import training_lives
from tests.meeting import meeting
from tests.tiny_line import line_runner
from tests.two_processes import fork_server

SAVE = {'type': 'SaveOnSigterm'}


class Schedule(Hook):
    """Signals this process in an iteration, or in the validation after it, and writes down what happens."""

    priority = 'VERY_HIGH'

    def __init__(
        self, iteration: int | None = None, validation_after: int | None = None, number: int = signal.SIGTERM
    ) -> None:
        self.iteration, self.validation_after, self.number = iteration, validation_after, number
        self.seen: list[tuple] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        self.seen.append(('train', runner.iter, data_batch['inputs'].flatten().tolist()))
        if runner.iter == self.iteration:
            os.kill(os.getpid(), self.number)

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        if runner.iter == self.validation_after and batch_idx == 1:
            os.kill(os.getpid(), self.number)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        self.seen.append(('val', runner.iter))


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple], dict[str, Any]]:
    """What the uninterrupted run saw, and its last checkpoint."""
    folder, record = tmp_path_factory.mktemp('whole'), Schedule()
    line_runner(folder, [record, SAVE], epochs=3, interval=100).train()
    return record.seen, torch.load(folder / 'iter_12.pth', weights_only=True)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
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
    tmp_path: Path, whole: tuple[list[tuple], dict[str, Any]], when: dict[str, int], saved: int, number: int
) -> None:
    handler = signal.getsignal(number)
    first, second = Schedule(**when, number=number), Schedule()
    with pytest.raises(SystemExit) as caught:
        line_runner(tmp_path, [first, SAVE], epochs=3, interval=100).train()
    assert caught.value.code == {signal.SIGTERM: 0, signal.SIGINT: 130}[number]
    assert signal.getsignal(number) is handler
    path = last_checkpoint(str(tmp_path))
    assert path == str(tmp_path / f'iter_{saved}.pth')
    line_runner(tmp_path, [second, SAVE], epochs=3, interval=100, resume=path).train()
    assert first.seen + second.seen == whole[0]
    final = torch.load(tmp_path / 'iter_12.pth', weights_only=True)
    for part in ('state_dict', 'optimizer', 'param_schedulers')[: 3 if saved < 12 else 2]:
        assert str(final[part]) == str(whole[1][part])  # stopped in the last validation, the last epoch has ended
    assert signal.getsignal(number) is handler


class CtrlC(Hook):
    """Ctrl-C so many times in an iteration."""

    def __init__(self, times: int) -> None:
        self.times = times

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        if runner.iter == 1:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)


@pytest.mark.parametrize(('times', 'left'), [(1, ['iter_2.pth']), (2, [])])
def test_a_second_ctrl_c_ends_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], times: int, left: list[str]
) -> None:
    def train() -> None:
        line_runner(tmp_path, [CtrlC(times), SAVE], interval=100, workers=1).train()

    process = multiprocessing.get_context('fork').Process(target=train)
    process.start()
    process.join(60)
    said = ''.join(capfd.readouterr())
    assert process.exitcode == 130 and [path.name for path in tmp_path.glob('*.pth')] == left
    assert said.count('Ctrl-C: the training saves and stops; press it again to end it at once') == 1
    assert said.count('--resume goes on') == 2 - times and said.count('ended by Ctrl-C') == times - 1
    assert 'Traceback' not in said


def test_ctrl_c_that_is_ignored_from_the_beginning_stays_ignored(tmp_path: Path) -> None:
    """A shell's job in the background: Ctrl-C is meant for the one in front."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        line_runner(tmp_path, [CtrlC(2), SAVE], epochs=1, interval=100).train()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_4.pth']


def test_torchruns_second_signal_is_the_same_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal signals all processes, and torchrun passes its own signal on to those it has started."""
    ends: list[int] = []
    for launched, pressed in ((False, [10.0, 10.1]), (True, [10.0, 10.1]), (True, [10.0, 13.0])):
        monkeypatch.setitem(os.environ, 'TORCHELASTIC_RUN_ID', 'none')
        if not launched:
            monkeypatch.delitem(os.environ, 'TORCHELASTIC_RUN_ID')
        hook = save_on_sigterm.SaveOnSigterm()
        try:
            for now in pressed:
                hook._press(now)
            ends.append(0)
        except SystemExit as end:
            ends.append(end.code)
    assert ends == [130, 0, 130]


class ExchangedForValidation(Hook):
    """Any other hook that changes the model for a validation."""

    def before_val(self, runner: Runner) -> None:
        runner.model.line.weight.data += 1

    def after_val(self, runner: Runner) -> None:
        runner.model.line.weight.data -= 1


@pytest.mark.parametrize('hook', [{'type': 'EMAHook', 'momentum': 0.1}, ExchangedForValidation], ids=str)
def test_a_stop_in_a_validation_saves_what_the_training_had(tmp_path: Path, hook: Any) -> None:
    """The oracle is the checkpoint that was planned right before the validation."""
    hooks = [hook if isinstance(hook, dict) else hook()]
    with pytest.raises(SystemExit):
        line_runner(tmp_path, [*hooks, Schedule(validation_after=8), SAVE], interval=100).train()
    stopped = torch.load(tmp_path / 'iter_8.pth', weights_only=True)
    hooks = [hook if isinstance(hook, dict) else hook()]
    line_runner(tmp_path / 'whole', [*hooks, SAVE], epochs=2, interval=8).train()
    planned = torch.load(tmp_path / 'whole' / 'iter_8.pth', weights_only=True)
    for part in {'state_dict', 'ema_state_dict', 'optimizer'} & planned.keys():
        assert str(stopped[part]) == str(planned[part]), part
    assert 'ema_state_dict' not in planned or str(planned['ema_state_dict']) != str(planned['state_dict'])


class KillInValidation(Hook):
    """Ends the process in the validation after an iteration, as SIGKILL would."""

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        if runner.iter == self.after:
            raise RuntimeError('killed')

    def __init__(self, after: int) -> None:
        self.after = after


@pytest.mark.parametrize('by_epoch', [False, True])
@pytest.mark.parametrize('after', [4, 8])
def test_a_validation_that_a_kill_has_cut_off_is_done_by_the_next_start(
    tmp_path: Path, after: int, by_epoch: bool
) -> None:
    """Also the last one, after which there is nothing left to train; and a finished training does it no second time."""
    options = {'epochs': 2, 'by_epoch': by_epoch, 'interval': 1, 'save_best': 'score', 'rule': 'greater'}
    with pytest.raises(RuntimeError, match='killed'):
        line_runner(tmp_path, [KillInValidation(after), SAVE], **options).train()
    for validations in ([('val', 4), ('val', 8)][after // 4 - 1 :], []):
        record = Schedule()
        scores = [0.1, 0.2][after // 4 - 1 :]
        line_runner(tmp_path, [record, SAVE], scores, **options, resume=last_checkpoint(str(tmp_path))).train()
        assert [entry for entry in record.seen if entry[0] == 'val'] == validations
    name = 'epoch_2.pth' if by_epoch else 'iter_8.pth'
    info = torch.load(tmp_path / name, weights_only=True)['message_hub']['runtime_info']
    assert info['best_score'] == 0.2


class Fail(Hook):
    """An error of the training itself."""

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        raise ZeroDivisionError


def test_a_training_that_fails_restores_the_handlers(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError):
        line_runner(tmp_path, [Fail(), SAVE], epochs=1).train()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


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

    monkeypatch.setattr('mmdark.engine.checkpoint_files.write_verified', full)
    with pytest.raises(InputError, match=r'iter_2\.pth could not be written \(No space left on device\)'):
        line_runner(tmp_path, [Schedule(1), SAVE], interval=100).train()


def test_it_needs_a_hook_that_saves(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'needs default_hooks\.checkpoint\.type=WholeCheckpoint'):
        line_runner(tmp_path, [SAVE], type='CheckpointHook').train()


class SignalWorkers(Hook):
    """Sends SIGTERM and SIGINT to all workers once, from another process, and looks at them in the next iteration."""

    def __init__(self) -> None:
        self.alive: list[bool] = []
        self.not_ours = set(multiprocessing.active_children())  # workers of other tests, whose loaders still live

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if runner.iter == 1:  # both have begun: each has given a batch
            self.workers = set(multiprocessing.active_children()) - self.not_ours
            for name in ('-INT', '-TERM'):
                subprocess.run(['kill', name, *(str(worker.pid) for worker in self.workers)], check=True)
            time.sleep(0.3)
        elif runner.iter == 2:
            self.alive = [worker.is_alive() for worker in self.workers]


class Fork(Hook):
    """Forks in an iteration; the child says by its exit status whether SIGTERM would end it without any Python."""

    status: int | None = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        child = os.fork()
        if not child:
            ignores = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # whose task would be lost with it
            os._exit(5 if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and ignores else 1)
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
    context = fork_server()
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
