"""How far a command is, on a terminal as a bar, elsewhere as a plain line now and then."""

from __future__ import annotations

import datetime
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_SECONDS = 10.0
"""Between two plain lines."""


class DetectProgress:
    """Images done, images a second, the time that remains, and what else there is to say; on stderr.

    Args:
        total: images there are; None where nobody knows.
        quiet: show nothing.
        console: where to draw; stderr by default.
        what: is being done.
        things: that are done, images or frames.
        begun: how many were done when the clock started, such as by an earlier run; they do not count for the speed.
    """

    def __init__(
        self,
        total: int | None,
        quiet: bool = False,
        console: Console | None = None,
        what: str = 'detecting',
        things: str = 'images',
        begun: int = 0,
    ) -> None:
        self.total, self.quiet, self.what, self.things, self.begun = total, quiet, what, things, begun
        self.console = console or Console(stderr=True)
        self.start = self.shown = time.monotonic()
        self.bar: Progress | None = None
        if self.console.is_terminal and not quiet:
            columns = [
                TextColumn(what),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(f'{{task.fields[speed]:.3g}} {things}/s'),
                TextColumn('ETA'),
                TimeRemainingColumn(),
                TextColumn('{task.fields[said]}'),
            ]
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.task = self.bar.add_task('', total=total, completed=begun, speed=0.0, said='')

    def __enter__(self) -> DetectProgress:
        """Begin to draw; the clock starts here."""
        self.start = self.shown = time.monotonic()
        if self.bar:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back as it was."""
        if self.bar:
            self.bar.stop()

    def update(self, done: int, said: str = '', total: int | None = None) -> None:
        """So many are done.

        Args:
            done: images.
            said: what else there is to say, such as the number of faces.
            total: images there are, where that is known only now.
        """
        self.total = total or self.total
        now = time.monotonic()
        speed = (done - self.begun) / max(now - self.start, 1e-9)
        if self.bar:
            self.bar.update(self.task, completed=done, total=self.total, speed=speed, said=said)
        elif not self.quiet and now - self.shown >= PLAIN_SECONDS:
            self.shown = now
            known = self.total and speed
            left = f'  ETA {datetime.timedelta(seconds=round((self.total - done) / speed))}' if known else ''
            line = f'{self.what} {done}/{self.total or "?"}  {speed:.3g} {self.things}/s{left}  {said}'
            self.console.print(line.rstrip(), highlight=False, soft_wrap=True)
