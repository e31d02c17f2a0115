"""Ctrl-C and SIGTERM: raised, postponed, or ignored."""

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
    """Within, SIGTERM raises :class:`mmdark.errors.Terminated` as Ctrl-C raises ``KeyboardInterrupt``.

    Schedulers and containers send it some seconds before SIGKILL.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    with _handling(signal.SIGTERM, handler=end):
        yield


@contextmanager
def deaf() -> Iterator[None]:
    """Within, both signals are ignored: a second one must not lose the results that the first one left."""
    with _handling(*ENDING, handler=signal.SIG_IGN):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, both signals are postponed to the end."""
    came: list[tuple[int, FrameType | None]] = []
    with _handling(*ENDING, handler=lambda *signalled: came.append(signalled)):
        yield
    if came and callable(handler := signal.getsignal(came[0][0])):
        handler(*came[0])
    elif came:
        signal.raise_signal(came[0][0])


@contextmanager
def _handling(*numbers: int, handler: object) -> Iterator[None]:
    """Set a handler; only in the main thread, as Python demands and where alone signals are handled."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, signal.SIG_DFL if handled is None else handled)
