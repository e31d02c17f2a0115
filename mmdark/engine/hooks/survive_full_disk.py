"""Continue the training if its log cannot be written."""

from __future__ import annotations

import copy
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization.vis_backend import BaseVisBackend, LocalVisBackend

from mmdark.errors import InputError
from mmdark.whole_file import write_whole

from ..once_a_minute import MINUTE, OnceAMinute

LINE = 1 << 20
"""Maximum length of a log line in bytes."""
WRITTEN_ONCE = {'add_config': 'the config', 'add_graph': 'the graph', 'add_image': 'a picture'}
Report = Callable[[str, Exception], None]


@HOOKS.register_module()
class SurviveFullDisk(Hook):
    """Continue on a full disk: log a warning, at most once a minute, and write the scalars later.

    Covers the output of all visualizer backends (``scalars.json``, pictures, TensorBoard and others), the text log and
    the detections that a validation writes. ``WholeCheckpoint`` covers the checkpoints.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.may_log = OnceAMinute()
        self.backends: list[_GuardedBackend] = []

    def before_run(self, runner: Runner) -> None:
        """Handle write errors of the visualizer backends and the text log."""
        report = partial(self._report, runner.logger)
        backends = getattr(runner.visualizer, '_vis_backends', {}).values()
        self.backends = [_GuardedBackend(backend, Path(runner.log_dir), report) for backend in backends]
        for handler in runner.logger.handlers:
            handler.handleError = partial(_handle_error, handler, report)
        if getattr(threading.excepthook, 'func', None) is not _hide_writers:
            threading.excepthook = partial(_hide_writers, threading.excepthook)

    def before_train(self, runner: Runner) -> None:
        """Handle write errors of a validation's detections; in a test, such an error is raised."""
        report = partial(self._report, runner.logger)
        for metric in getattr(getattr(runner.val_loop, 'evaluator', None), 'metrics', ()):
            if hasattr(metric, 'write'):
                metric.write = partial(_write_or_report, report, 'the detections of a validation', metric.write)

    def after_train(self, runner: Runner) -> None:
        """Write the scalars that are still waiting."""
        for backend in self.backends:
            backend.write_waiting()

    def _report(self, logger: logging.Logger, what: str, error: Exception) -> None:
        if self.may_log(what):
            reason = getattr(error, 'strerror', None) or error
            logger.warning(f'{what} could not be written ({reason}); the training goes on')


class _GuardedBackend:
    """Replaces methods of a visualizer backend: scalars that cannot be written are kept, pictures are dropped.

    Scalars still in TensorBoard's own queue are lost in TensorBoard, but not in ``scalars.json``.
    """

    def __init__(self, backend: BaseVisBackend, log_dir: Path, report: Report) -> None:
        self.backend, self.log_dir, self.report = backend, log_dir, report
        self.is_local = isinstance(backend, LocalVisBackend)
        self.waiting: list[Callable[[], None]] = []
        self.is_writing = False
        self.retry_at = 0.0
        for name in ('add_scalar', 'add_scalars'):
            setattr(backend, name, partial(self._write_or_keep, self._original(name)))
        for name, what in WRITTEN_ONCE.items():
            write = partial(_write_picture, backend) if self.is_local and name == 'add_image' else self._original(name)
            setattr(backend, name, partial(_write_or_report, report, what, write))
        backend.close = self._close

    def write_waiting(self) -> None:
        """Write the scalars that could not be written before."""
        self.is_writing = True
        try:
            while self.waiting:
                self.waiting[0]()
                self.waiting.pop(0)
        except OSError as error:
            self._fail(error)
        finally:
            self.is_writing = False

    def _original(self, name: str) -> Callable:
        return getattr(type(self.backend), name).__get__(self.backend)

    def _write_or_keep(self, write: Callable, *args: Any, **kwargs: Any) -> None:
        if self.is_writing:  # add_scalars calls add_scalar
            write(*args, **kwargs)
            return
        self.waiting.append(partial(write, *copy.deepcopy(args), **copy.deepcopy(kwargs)))
        if time.monotonic() >= self.retry_at:
            self.write_waiting()

    def _fail(self, error: OSError) -> None:
        self.report(f'the log of {type(self.backend).__name__}', error)
        if self.is_local:
            for log in self.log_dir.rglob('*.json'):
                with suppress(OSError):
                    _cut_unfinished_line(log)
        else:
            self.backend._env_initialized = False  # a TensorBoard writer that failed once fails forever
            self.retry_at = time.monotonic() + MINUTE

    def _close(self) -> None:
        self.write_waiting()
        _write_or_report(self.report, f'the log of {type(self.backend).__name__}', self._original('close'))


def _write_or_report(report: Report, what: str, write: Callable, *args: Any, **kwargs: Any) -> None:
    try:
        write(*args, **kwargs)
    except (OSError, InputError) as error:
        report(what, error)


def _write_picture(backend: LocalVisBackend, name: str, image: np.ndarray, step: int = 0, **_: Any) -> None:
    """Write a picture as the backend does, but detect that a file was written only in part, as OpenCV does not."""
    path = Path(backend.experiment._img_save_dir, f'{name}_{step}.png')
    write_whole(path, cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())


def _cut_unfinished_line(log: Path) -> None:
    """Remove the last line of a log if it was written only in part."""
    if log.is_file():  # not a device
        with log.open('rb') as file:
            start = max(0, os.path.getsize(log) - LINE)
            file.seek(start)
            end = file.read()
        if end and not end.endswith(b'\n'):
            os.truncate(log, start + end.rfind(b'\n') + 1)


def _handle_error(handler: logging.Handler, report: Report, record: logging.LogRecord) -> None:
    """Report an ``OSError`` instead of printing a traceback for each record."""
    error = sys.exc_info()[1]
    if isinstance(error, OSError):
        report('the text log', error)
    else:
        logging.Handler.handleError(handler, record)


def _hide_writers(before: Callable, args: threading.ExceptHookArgs) -> None:
    """Suppress the traceback of TensorBoard's writer thread; the next scalar raises the same error."""
    if not (issubclass(args.exc_type, OSError) and type(args.thread).__module__.startswith('tensorboard')):
        before(args)
