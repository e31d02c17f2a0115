"""A log or a picture that cannot be written costs a line, not the training."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..guarded_backend import GuardedBackend, Say, guarded
from ..once_a_minute import OnceAMinute


@HOOKS.register_module()
class SurviveFullDisk(Hook):
    """Go on where the disk is full: say so in one line, once a minute at most, and write the numbers later.

    It looks after all that the visualizer writes (``scalars.json``, pictures, TensorBoard and the like), after the text
    log, and after the detections that a validation writes. ``WholeCheckpoint`` looks after the checkpoints.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.may_say = OnceAMinute()
        self.guards: list[GuardedBackend] = []

    def before_run(self, runner: Runner) -> None:
        """Guard the visualizer and the text log."""
        say = partial(self._say, runner.logger)
        backends = getattr(runner.visualizer, '_vis_backends', {}).values()
        self.guards = [GuardedBackend.of(backend, Path(runner.log_dir), say) for backend in backends]
        for handler in runner.logger.handlers:
            handler.handleError = partial(_handle_error, handler, say)
        if getattr(threading.excepthook, 'func', None) is not _quiet_writers:
            threading.excepthook = partial(_quiet_writers, threading.excepthook)

    def before_train(self, runner: Runner) -> None:
        """Guard the detections of a validation; a test that was asked for them ends with an error."""
        evaluator = getattr(runner.val_loop, 'evaluator', None)
        for metric in getattr(evaluator, 'metrics', ()):
            if hasattr(metric, 'write'):
                say = partial(self._say, runner.logger, 'the detections of a validation')
                metric.write = guarded(metric.write, say)

    def after_train(self, runner: Runner) -> None:
        """Write the numbers that are still waiting."""
        for guard in self.guards:
            guard.write_waiting()

    def _say(self, logger: logging.Logger, what: str, error: Exception) -> None:
        if self.may_say(what):
            reason = getattr(error, 'strerror', None) or error
            logger.warning(f'{what} could not be written ({reason}); the training goes on')


def _handle_error(handler: logging.Handler, say: Say, record: logging.LogRecord) -> None:
    """Instead of a traceback on stderr for each record; a file keeps the line in memory and tries again."""
    error = sys.exc_info()[1]
    if isinstance(error, OSError):
        say('the text log', error)
    else:
        logging.Handler.handleError(handler, record)


def _quiet_writers(before: Callable, args: threading.ExceptHookArgs) -> None:
    """No traceback of the thread that writes TensorBoard's file: the next number that it gets raises the same error."""
    if not (issubclass(args.exc_type, OSError) and type(args.thread).__module__.startswith('tensorboard')):
        before(args)
