"""Save a checkpoint and stop the training on SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

from mmdet.registry import HOOKS
from mmengine.dist import barrier, get_world_size, is_distributed, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmdark.engine.agreement import largest_of_all
from mmdark.engine.optim_wrappers import accumulated_batches
from mmdark.errors import INTERRUPTED, InputError

from .whole_checkpoint import DUE, VALIDATED, WholeCheckpoint

FORWARDING = 2.0
"""Seconds in which a second Ctrl-C is ignored under torchrun, which forwards the first one again."""


@HOOKS.register_module()
class SaveOnSigterm(Hook):
    """On SIGTERM or Ctrl-C, finish the current iteration, save, log how to resume, and exit.

    The exit status is 0 after SIGTERM, which job schedulers send. After Ctrl-C it is 130, or 0 in distributed training,
    because a launcher treats any other status as a failure. A second Ctrl-C exits at once, without saving.

    All processes stop after the same iteration, even if only one got the signal. With accumulated gradients, the
    checkpoint is saved after the next optimizer step. During a validation, hooks that changed the model for it
    (``EMAHook``) first restore it, and the resumed training begins with this validation. The resumed training also
    repeats a validation that was killed at the end of the training or, if checkpoints count epochs, after an epoch.

    Args:
        interval: number of iterations between two exchanges of signals; see :func:`largest_of_all`.
    """

    priority = 'LOWEST'

    def __init__(self, interval: int | None = None) -> None:
        self.interval = interval
        self.requested = 0
        self.pressed_at: float | None = None
        self.checkpoint: WholeCheckpoint | None = None
        self.handlers: dict[int, Callable | int | None] = {}

    def before_train(self, runner: Runner) -> None:
        """Install the signal handlers, then repeat a validation that was interrupted.

        Raises:
            InputError: the hooks include no ``WholeCheckpoint``.
        """
        self.checkpoint = next((hook for hook in runner.hooks if isinstance(hook, WholeCheckpoint)), None)
        if self.checkpoint is None:
            raise InputError('SaveOnSigterm needs default_hooks.checkpoint.type=WholeCheckpoint, which saves')
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) is not signal.SIG_IGN:  # shells ignore SIGINT in background jobs
                    self.handlers[number] = signal.signal(number, self._handle)
        for loop in (runner.train_loop, runner.val_loop):
            if loop is not None:
                protect_workers(loop.dataloader)
        if runner.val_loop is not None and _lacks_validation(runner):
            runner.logger.info('first the validation in which the training was stopped')
            runner.val_loop.run()
        runner.message_hub.update_info(DUE, False)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Save and stop if any process got a signal, except after the last iteration."""
        done = runner.iter + 1
        steps = accumulated_batches(runner.optim_wrapper)
        if done < runner.max_iters and done % steps == 0:
            number = largest_of_all(self.requested, done // steps, self.interval)
            if number:
                if self.checkpoint.done_at != done:
                    self.checkpoint.save_now(runner, done)
                self._stop(runner, number)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: list | None = None
    ) -> None:
        """Save and stop during a validation; the resumed training repeats it."""
        if self.checkpoint is None:
            return
        loader = runner.val_loop.dataloader
        common = len(loader.dataset) // get_world_size() // (loader.batch_size or 1)  # batches that every process has
        if batch_idx < common or not is_distributed():
            number = largest_of_all(self.requested, batch_idx + 1, self.interval)
            if number:
                _leave_validation(runner)
                runner.message_hub.update_info(DUE, True)
                self.checkpoint.save_now(runner, runner.iter)
                self._stop(runner, number)

    def after_run(self, runner: Runner) -> None:
        """Restore the signal handlers."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers, self.checkpoint = {}, None

    def on_exception(self, runner: Runner) -> None:
        """Restore the signal handlers after an error or a stop."""
        self.after_run(runner)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = max(self.requested, number)
        if number == signal.SIGINT:
            self._press(time.monotonic())

    def _press(self, now: float) -> None:
        """Print a message at the first Ctrl-C and exit at the second."""
        if self.pressed_at is None:
            self.pressed_at = now
            if is_main_process():
                _print('Ctrl-C: the training saves and stops; press it again to end it at once')
        elif now - self.pressed_at > (FORWARDING if 'TORCHELASTIC_RUN_ID' in os.environ else 0):
            _print('ended by Ctrl-C')
            raise SystemExit(INTERRUPTED)

    def _stop(self, runner: Runner, number: int) -> None:
        """Exit, or raise the error of a checkpoint that could not be written."""
        barrier()  # launchers end all processes after the first exit, even one that is still writing
        runner.visualizer.close()
        self.checkpoint.after_run(runner)
        runner.logger.warning(
            f'{"Ctrl-C" if number == signal.SIGINT else "SIGTERM"}: the training stops; {self.checkpoint.newest} is '
            'written; the same command with --resume goes on'
        )
        raise SystemExit(INTERRUPTED if number == signal.SIGINT and not is_distributed() else 0)


def _print(line: str) -> None:
    with suppress(OSError):
        os.write(2, f'{line}\n'.encode())  # print() is not reentrant, so a signal handler cannot call it


def _lacks_validation(runner: Runner) -> bool:
    """Whether the training was stopped during a validation, or killed after its end but before its last validation."""
    info = runner.message_hub.runtime_info
    finished = runner.iter >= runner.max_iters or runner.epoch >= runner.max_epochs
    return bool(info.get(DUE)) or (0 < runner.iter != info.get(VALIDATED) and finished)


def _leave_validation(runner: Runner) -> None:
    """Call the end-of-validation methods of the hooks that do something at the beginning of a validation."""
    for hook in runner.hooks:
        if type(hook).before_val_epoch is not Hook.before_val_epoch:
            hook.after_val_epoch(runner, metrics={})
        if type(hook).before_val is not Hook.before_val:
            hook.after_val(runner)


def _forget_training() -> None:
    """In a forked process, restore the default SIGTERM action and ignore Ctrl-C.

    A Python signal handler runs only between two bytecodes, so a pool worker that is about to block would miss the
    SIGTERM with which the pool ends it. mmdet's VOC evaluation uses such pools and sometimes hung.
    """
    if isinstance(getattr(signal.getsignal(signal.SIGTERM), '__self__', None), SaveOnSigterm):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget_training)


def protect_workers(loader: DataLoader) -> None:
    """Make the loader's workers ignore Ctrl-C, and SIGTERM unless their parent process sends it.

    Terminals and job schedulers signal the workers too; if a worker exits, the training fails before it can save.
    """
    loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)


def _start_worker(init: Callable[[int], None] | None, worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_exit_on_sigterm_of, args=(os.getppid(),), daemon=True).start()
    if init is not None:
        init(worker)


def _exit_on_sigterm_of(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
