"""Give way to a scheduler or a person: on SIGTERM or Ctrl-C write a checkpoint and end well."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from types import CodeType, FrameType

from mmdet.registry import HOOKS
from mmengine.dist import barrier, get_world_size, is_distributed, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmdark.engine.accumulation import accumulated_batches
from mmdark.engine.agreement import largest_of_all
from mmdark.errors import INTERRUPTED, InputError

from .whole_checkpoint import DUE, VALIDATED, WholeCheckpoint

FORWARDING = 2.0
"""Seconds in which torchrun passes on a Ctrl-C that the terminal has sent to all processes already."""
SHOW_CURSOR = '\x1b[?25h'
"""What a terminal is told when a live line, which hides the cursor, is cut off."""


@HOOKS.register_module()
class SaveOnSigterm(Hook):
    """On SIGTERM or Ctrl-C, save at the end of the running iteration, say how to go on, and exit.

    The exit status is 0 after SIGTERM, which schedulers send. After Ctrl-C it is 130, but 0 under a launcher of several
    processes, which would take anything else for a failure. A second Ctrl-C ends the process at once, without saving.

    All processes stop after the same iteration, also where only one of them got the signal: they agree by an
    all-reduce, in each iteration or, where it makes a GPU wait, in every tenth one. With accumulated gradients the
    checkpoint waits for the optimizer's step. In a validation, hooks that changed the model for it (``EMAHook``) change
    it back first, and the training that goes on begins with this validation. The same goes for a validation at the end
    of the training, and where checkpoints count epochs, that a kill has cut off.

    The data loaders' workers, which a scheduler and a terminal signal too, obey only their parent. A second SIGTERM
    changes nothing. Other children of the process leave Ctrl-C to it; they, and the process itself after a training
    that failed, end by SIGTERM as ever.

    Args:
        interval: ask the other processes in every so many iterations; by default it is chosen by the backend.
    """

    priority = 'LOWEST'

    def __init__(self, interval: int | None = None) -> None:
        self.interval = interval
        self.asked = 0
        self.pressed_at: float | None = None
        self.checkpoint: WholeCheckpoint | None = None
        self.before: Callable | int | None = None
        self.before_ctrl_c: Callable | int | None = None
        self.training: tuple[int, CodeType] | None = None

    def before_train(self, runner: Runner) -> None:
        """Listen from now on; first do the validation that the last stop has cut off.

        Raises:
            InputError: there is no ``WholeCheckpoint`` that could save.
        """
        self.checkpoint = next((hook for hook in runner.hooks if isinstance(hook, WholeCheckpoint)), None)
        if self.checkpoint is None:
            raise InputError('SaveOnSigterm needs default_hooks.checkpoint.type=WholeCheckpoint, which saves')
        if threading.current_thread() is threading.main_thread():
            _leave_children_alone()
            self.training = os.getpid(), type(runner).train.__code__
            self.before = signal.signal(signal.SIGTERM, self._ask)
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a background job leaves Ctrl-C to others
                self.before_ctrl_c = signal.signal(signal.SIGINT, self._ask)
        for loop in (runner.train_loop, runner.val_loop):
            if loop is not None:
                obey_the_parent_only(loop.dataloader)
        if runner.val_loop is not None and _lacks_validation(runner):
            runner.logger.info('first the validation in which the training was stopped')
            runner.val_loop.run()
        runner.message_hub.update_info(DUE, False)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Stop here if anybody was asked to; the last iteration goes on to its validation."""
        done = runner.iter + 1
        steps = accumulated_batches(runner.optim_wrapper)
        if done < runner.max_iters and done % steps == 0:
            number = largest_of_all(self.asked, done // steps, self.interval)
            if number:
                if self.checkpoint.done_at != done:
                    self.checkpoint.save_now(runner, done)
                self._stop(runner, number)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: list | None = None
    ) -> None:
        """Stop in a validation, which the next start repeats."""
        if self.checkpoint is None:
            return
        loader = runner.val_loop.dataloader
        everybody_has = len(loader.dataset) // get_world_size() // (loader.batch_size or 1)
        if batch_idx < everybody_has or not is_distributed():
            number = largest_of_all(self.asked, batch_idx + 1, self.interval)
            if number:
                _undo_validation(runner)
                runner.message_hub.update_info(DUE, True)
                self.checkpoint.save_now(runner, runner.iter)
                self._stop(runner, number)

    def after_run(self, runner: Runner) -> None:
        """Listen no more."""
        if self.before is not None:
            signal.signal(signal.SIGTERM, self.before)
        if self.before_ctrl_c is not None:
            signal.signal(signal.SIGINT, self.before_ctrl_c)
        self.before = self.before_ctrl_c = self.checkpoint = None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        process, train = self.training
        while frame is not None and frame.f_code is not train:
            frame = frame.f_back
        if frame is None or os.getpid() != process:
            signal.signal(number, self.before if number == signal.SIGTERM else self.before_ctrl_c)
            os.kill(os.getpid(), number)
            return
        self.asked = max(self.asked, number)
        if number == signal.SIGINT:
            self._press(time.monotonic())

    def _press(self, now: float) -> None:
        """Ctrl-C: the first says what happens, the second ends."""
        if self.pressed_at is None:
            self.pressed_at = now
            if is_main_process():
                with suppress(OSError, RuntimeError):  # it may come while the same line is being written
                    print('Ctrl-C: the training saves and stops; press it again to end it at once', file=sys.stderr)
        elif now - self.pressed_at > (FORWARDING if 'TORCHELASTIC_RUN_ID' in os.environ else 0):
            for child in multiprocessing.active_children():
                child.terminate()
            os.write(2, f'{SHOW_CURSOR if os.isatty(2) else ""}ended by Ctrl-C\n'.encode())
            os._exit(INTERRUPTED)

    def _stop(self, runner: Runner, number: int) -> None:
        """End the process with a checkpoint; without one the failed write is said."""
        barrier()  # whoever ends before the checkpoint is written could make a launcher end the one that writes
        checkpoint = self.checkpoint
        self.after_run(runner)
        runner.visualizer.close()
        checkpoint.after_run(runner)
        runner.logger.warning(
            f'{"Ctrl-C" if number == signal.SIGINT else "SIGTERM"}: the training stops; {checkpoint.newest} is '
            'written; the same command with --resume goes on'
        )
        raise SystemExit(INTERRUPTED if number == signal.SIGINT and not is_distributed() else 0)


def _lacks_validation(runner: Runner) -> bool:
    """Whether a resumed training stopped in a validation, or was killed between its end and its last validation."""
    info = runner.message_hub.runtime_info
    finished = runner.iter >= runner.max_iters or runner.epoch >= runner.max_epochs
    return bool(info.get(DUE)) or (0 < runner.iter != info.get(VALIDATED) and finished)


def _undo_validation(runner: Runner) -> None:
    """Let those hooks that do something at the beginning of a validation do what belongs to its end."""
    for hook in runner.hooks:
        if type(hook).before_val_epoch is not Hook.before_val_epoch:
            hook.after_val_epoch(runner, metrics={})
        if type(hook).before_val is not Hook.before_val:
            hook.after_val(runner)


@cache
def _leave_children_alone() -> None:
    """From now on, give forked processes the handler of SIGTERM from before the training, and let them ignore Ctrl-C.

    Python runs a handler between two steps of its own, so one that is about to block, as the workers of a pool do, may
    sleep over the signal for ever, and whoever ends the pool waits for it: mmdet's VOC evaluation has such pools.
    A worker that a Ctrl-C ends would take its task with it, and the parent would wait for that.
    """
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=_forget_training)


def _forget_training() -> None:
    """In a process that was just forked. A training that failed before this one has left its handler behind."""
    while isinstance(hook := getattr(signal.getsignal(signal.SIGTERM), '__self__', None), SaveOnSigterm):
        signal.signal(signal.SIGTERM, hook.before)
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def obey_the_parent_only(loader: DataLoader) -> None:
    """Have the workers that will be started ignore Ctrl-C, and a SIGTERM that does not come from their parent."""
    loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)


def _start_worker(init: Callable[[int], None] | None, worker: int) -> None:
    """First in a worker process; torch ends its workers by SIGTERM, so that must go on working."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_wait_for_parent, args=(os.getppid(),), daemon=True).start()
    if init is not None:
        init(worker)


def _wait_for_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
