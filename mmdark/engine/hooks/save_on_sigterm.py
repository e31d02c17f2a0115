"""Give way to a scheduler: on SIGTERM write a checkpoint and end well."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import cache, partial
from types import CodeType, FrameType

import torch
from mmdet.registry import HOOKS
from mmengine.device import get_device
from mmengine.dist import get_backend, get_world_size, is_distributed
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import distributed
from torch.utils.data import DataLoader

from mmdark.engine.accumulation import accumulated_batches
from mmdark.errors import InputError

from .whole_checkpoint import WholeCheckpoint

DUE = 'due_validation'
"""In the message hub: the checkpoint stands in a validation, with which its resume must begin."""
DEVICE_INTERVAL = 10
"""Asking the other processes through NCCL makes the GPU wait, so it is not done in each iteration."""


@HOOKS.register_module()
class SaveOnSigterm(Hook):
    """On SIGTERM, save at the end of the running iteration, say how to go on, and exit with status 0.

    All processes stop after the same iteration, also where only one of them got the signal: they agree by an
    all-reduce, in each iteration or, where it makes a GPU wait, in every tenth one. With accumulated gradients the
    checkpoint waits for the optimizer's step. In a validation, the training that goes on begins with this validation.
    The data loaders' workers, which a scheduler signals too, obey only their parent. A second signal changes nothing.
    Other children of the process, and the process itself after a training that failed, end by SIGTERM as ever.

    Args:
        interval: ask the other processes in every so many iterations; by default it is chosen by the backend.
    """

    priority = 'LOWEST'

    def __init__(self, interval: int | None = None) -> None:
        self.interval = interval
        self.asked = False
        self.checkpoint: WholeCheckpoint | None = None
        self.before: Callable | int | None = None
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
            self.before = signal.signal(signal.SIGTERM, self._ask)
            self.training = os.getpid(), type(runner).train.__code__
        for loop in (runner.train_loop, runner.val_loop):
            if loop is not None:
                _obey_the_parent_only(loop.dataloader)
        if runner.message_hub.runtime_info.get(DUE) and runner.val_loop is not None:
            runner.logger.info('first the validation in which the training was stopped')
            runner.val_loop.run()
        runner.message_hub.update_info(DUE, False)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Stop here if anybody was asked to; the last iteration goes on to its validation."""
        done = runner.iter + 1
        steps = accumulated_batches(runner.optim_wrapper)
        if done < runner.max_iters and done % steps == 0 and self._anybody_asked(done // steps):
            if self.checkpoint.done_at != done:
                self.checkpoint.save_now(runner, done)
            self._stop(runner)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: list | None = None
    ) -> None:
        """Stop in a validation, which the next start repeats."""
        if self.checkpoint is None:
            return
        loader = runner.val_loop.dataloader
        everybody_has = len(loader.dataset) // get_world_size() // (loader.batch_size or 1)
        if (batch_idx < everybody_has or not is_distributed()) and self._anybody_asked(batch_idx + 1):
            runner.message_hub.update_info(DUE, True)
            self.checkpoint.save_now(runner, runner.iter)
            self._stop(runner)

    def after_run(self, runner: Runner) -> None:
        """Listen no more."""
        if self.before is not None:
            signal.signal(signal.SIGTERM, self.before)
        self.before = self.checkpoint = None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        process, train = self.training
        while frame is not None and frame.f_code is not train:
            frame = frame.f_back
        if frame is not None and os.getpid() == process:
            self.asked = True
        else:
            signal.signal(signal.SIGTERM, self.before)
            os.kill(os.getpid(), signal.SIGTERM)

    def _anybody_asked(self, count: int) -> bool:
        """Whether one of the processes got the signal; in those iterations where they do not ask, none did."""
        if not is_distributed():
            return self.asked
        on_host = get_backend() == 'gloo'
        if count % (self.interval or (1 if on_host else DEVICE_INTERVAL)):
            return False
        asked = torch.tensor(int(self.asked), device='cpu' if on_host else get_device())
        distributed.all_reduce(asked, distributed.ReduceOp.MAX)
        return bool(asked.item())

    def _stop(self, runner: Runner) -> None:
        """End the process: 0 with a checkpoint; without one the failed write is said."""
        checkpoint = self.checkpoint
        self.after_run(runner)
        runner.visualizer.close()
        checkpoint.after_run(runner)
        runner.logger.warning(
            f'SIGTERM: the training stops; {checkpoint.last_ckpt} is written; the same command with --resume goes on'
        )
        raise SystemExit(0)


@cache
def _leave_children_alone() -> None:
    """From now on, give forked processes the handler from before the training.

    Python runs a handler between two steps of its own, so one that is about to block, as the workers of a pool do, may
    sleep over the signal for ever, and whoever ends the pool waits for it: mmdet's VOC evaluation has such pools.
    """
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=_forget_training)


def _forget_training() -> None:
    """In a process that was just forked."""
    hook = getattr(signal.getsignal(signal.SIGTERM), '__self__', None)
    if isinstance(hook, SaveOnSigterm):
        signal.signal(signal.SIGTERM, hook.before)


def _obey_the_parent_only(loader: DataLoader) -> None:
    """Have the workers that will be started ignore a SIGTERM that does not come from their parent."""
    loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)


def _start_worker(init: Callable[[int], None] | None, worker: int) -> None:
    """First in a worker process; torch ends its workers by SIGTERM, so that must go on working."""
    if hasattr(signal, 'sigwaitinfo'):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_wait_for_parent, args=(os.getppid(),), daemon=True).start()
    if init is not None:
        init(worker)


def _wait_for_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
