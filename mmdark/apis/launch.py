"""Set up the work directory, the processes and bfloat16 of a training or a test."""

from __future__ import annotations

import gc
import inspect
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryFile

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn

from mmdark.errors import InputError
from mmdark.whole_file import writing

LEAVING = 600.0
"""Seconds that a process waits for the others at the end; the first may still be writing a checkpoint."""


def make_work_dir(path: str) -> None:
    """Create the folder of a training or a test.

    Raises:
        InputError: it cannot be created, or is not writable.
    """
    with writing(path, '--work-dir'):
        os.makedirs(path, exist_ok=True)
        with TemporaryFile(dir=path):
            pass


def prepare_distributed(cfg: Config, launcher: str) -> None:
    """Set the launcher; without CUDA, torchrun's processes communicate through gloo, and batch norm is not synced.

    Raises:
        InputError: a launcher other than torchrun's is used without CUDA.
    """
    cfg.launcher = launcher
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise InputError(f'--launcher {launcher} needs CUDA; without it use --launcher pytorch (tools/dist_train.sh)')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = {**wrapper, **(cfg.get('model_wrapper_cfg') or {}), 'device_ids': None}
    for model in (cfg.model, cfg.model.get('detector') or {}):
        kind = MODELS.get(str(model.get('type')))
        if kind and 'use_syncbn' in inspect.signature(kind).parameters:
            model.setdefault('use_syncbn', False)  # torch has SyncBatchNorm for GPUs only


def run_and_leave(main: Callable[[], object]) -> None:
    """Run a training or a test, then leave the other processes; ``SaveOnSigterm`` ends a training by SystemExit."""
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
    leave_distributed()


def leave_distributed() -> None:
    """Leave the other processes, if there are any, when all are done; call it once the Runner is out of reach.

    If a process left while the first one is still writing, the launcher could end the first one. Processes that have
    already ended are not waited for, and others for at most ten minutes.

    A Runner is part of a reference cycle, and its wrapped model shares the process group, whose threads must end before
    the interpreter does: otherwise it aborts ("terminate called without an active exception"). The garbage is collected
    first, so that ``destroy_process_group`` holds the last reference and frees the group without the interpreter's
    lock. Freed by the wrapped model, the group would keep the lock while it waits for a thread that needs the lock.
    """
    if torch.distributed.is_initialized():
        gc.collect()
        _wait_for_the_others()
        torch.distributed.destroy_process_group()


def _wait_for_the_others() -> None:
    all_here, limit = torch.distributed.barrier(async_op=True), time.monotonic() + LEAVING
    while not all_here.is_completed():
        if time.monotonic() > limit:
            print(f'error: the other processes did not end within {LEAVING:g} seconds', file=sys.stderr, flush=True)
            sys.stdout.flush()
            os._exit(1)  # a barrier cannot be cancelled: destroying its group would wait for it
        time.sleep(0.02)
    with suppress(RuntimeError):  # another process is gone, which its launcher reports
        all_here.wait()


def enable_amp(cfg: Config) -> None:
    """Train in bfloat16, on a GPU or a CPU."""
    cfg.optim_wrapper.type = 'Bfloat16OptimWrapper'


def in_bfloat16(model: nn.Module) -> Callable[[dict], list]:
    """Return the model's ``test_step`` under autocast to bfloat16, on the device of its weights."""
    step, device = model.test_step, next(model.parameters()).device.type

    def test_step(data: dict) -> list:
        with torch.autocast(device, torch.bfloat16):
            return step(data)

    return test_step


def enable_tensorboard(cfg: Config) -> None:
    """Also write TensorBoard files, next to ``scalars.json``."""
    backends = [dict(backend) for backend in cfg.visualizer.get('vis_backends') or []]
    if not any(backend['type'] == 'TensorboardVisBackend' for backend in backends):
        cfg.visualizer.vis_backends = [*backends, dict(type='TensorboardVisBackend')]
