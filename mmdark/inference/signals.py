"""Context managers that raise, postpone or ignore Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mmdark.errors import Terminated

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Make SIGTERM raise :class:`mmdark.errors.Terminated`, as Ctrl-C raises ``KeyboardInterrupt``.

    Schedulers and containers send SIGTERM a few seconds before SIGKILL.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    with _handling(signal.SIGTERM, handler=end):
        yield


@contextmanager
def deaf() -> Iterator[None]:
    """Ignore both signals, so that a second one does not interrupt writing the results after the first one."""
    with _handling(*ENDING, handler=signal.SIG_IGN):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Postpone both signals to the end of the block."""
    came: list[tuple[int, FrameType | None]] = []
    with _handling(*ENDING, handler=lambda *signalled: came.append(signalled)):
        yield
    if came and callable(handler := signal.getsignal(came[0][0])):
        handler(*came[0])
    elif came:
        signal.raise_signal(came[0][0])


@contextmanager
def _handling(*numbers: int, handler: object) -> Iterator[None]:
    """Set a handler within the block; does nothing outside the main thread, where Python forbids it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, signal.SIG_DFL if handled is None else handled)
