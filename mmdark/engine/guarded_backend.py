"""A backend of the visualizer that goes on where the disk is full."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.visualization.vis_backend import BaseVisBackend, LocalVisBackend

from mmdark.engine.once_a_minute import MINUTE
from mmdark.errors import InputError
from mmdark.whole_file import replaced_whole

Say = Callable[[str, Exception], None]
"""Gets what could not be written, and the error."""
NUMBERS = ('add_scalar', 'add_scalars')
"""What is written again later."""
LINE = 1 << 20
"""No line of a log is longer, bytes."""
OTHERS = {'add_config': 'the config', 'add_graph': 'the graph', 'add_image': 'a picture'}
"""What is written once."""


class GuardedBackend:
    """Replaces the methods of a visualizer's backend by some that raise no OSError.

    Numbers that could not be written wait until others can; pictures are lost. What has not reached the disk of
    TensorBoard's own queue is lost there, too; ``scalars.json`` has it.

    Args:
        backend: gets the methods.
    """

    def __init__(self, backend: BaseVisBackend) -> None:
        self.backend = backend
        self.is_local = isinstance(backend, LocalVisBackend)
        self.waiting: list[tuple[Callable, tuple, dict]] = []
        self.is_writing = False
        self.retry_at = 0.0
        self.log_dir: Path | None = None
        self.say: Say = lambda what, error: None
        for name in NUMBERS:
            setattr(backend, name, partial(self._write_or_keep, getattr(backend, name)))
        if self.is_local:
            backend.add_image = partial(_write_picture, backend)
        for name, what in OTHERS.items():
            setattr(backend, name, guarded(getattr(backend, name), lambda error, what=what: self.say(what, error)))
        self.close, backend.close = backend.close, self._close

    @classmethod
    def of(cls, backend: BaseVisBackend, log_dir: Path, say: Say) -> GuardedBackend:
        """The guard of a backend, which a second run in this process finds again.

        Args:
            backend: to be guarded.
            log_dir: where local backends write in this run.
            say: of this run.
        """
        guard = getattr(backend, 'guard', None) or cls(backend)
        backend.guard, guard.log_dir, guard.say = guard, log_dir, say
        return guard

    def write_waiting(self) -> None:
        """Write the numbers that could not be written, as far as there is room."""
        self.is_writing = True
        try:
            while self.waiting:
                write, args, kwargs = self.waiting[0]
                write(*args, **kwargs)
                self.waiting.pop(0)
        except OSError as error:
            self._fail(error)
        finally:
            self.is_writing = False

    def _write_or_keep(self, write: Callable, *args: Any, **kwargs: Any) -> None:
        if self.is_writing:  # add_scalars calls add_scalar
            write(*args, **kwargs)
            return
        self.waiting.append((write, copy.deepcopy(args), copy.deepcopy(kwargs)))
        if self.is_local or time.monotonic() >= self.retry_at:
            self.write_waiting()

    def _fail(self, error: OSError) -> None:
        self.say(f'the log of {type(self.backend).__name__}', error)
        if self.is_local:
            for log in self.log_dir.rglob('*.json'):
                with suppress(OSError):
                    _cut_unfinished_line(log)
        else:
            self.backend._env_initialized = False  # a writer of TensorBoard that failed once fails for ever
            self.retry_at = time.monotonic() + MINUTE

    def _close(self) -> None:
        self.write_waiting()
        try:
            self.close()
        except OSError as error:
            self.say(f'the log of {type(self.backend).__name__}', error)


def guarded(write: Callable, say: Callable[[Exception], None]) -> Callable:
    """A function that hands an error of the disk to ``say`` instead of raising it."""

    def write_or_say(*args: Any, **kwargs: Any) -> None:
        try:
            write(*args, **kwargs)
        except (OSError, InputError) as error:
            say(error)

    return write_or_say


def _write_picture(backend: LocalVisBackend, name: str, image: np.ndarray, step: int = 0, **_: Any) -> None:
    """What the backend writes with OpenCV, which says nothing where it writes a part of it."""
    folder = Path(backend.experiment._img_save_dir)
    with replaced_whole(folder / f'{name}_{step}.png') as part:
        part.write_bytes(cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())


def _cut_unfinished_line(log: Path) -> None:
    """Take away what a full disk has left of a line, so that the next one begins at its beginning."""
    if log.is_file():  # no device
        with log.open('rb') as file:
            start = max(0, os.path.getsize(log) - LINE)
            file.seek(start)
            end = file.read()
        if end and not end.endswith(b'\n'):
            os.truncate(log, start + end.rfind(b'\n') + 1)
