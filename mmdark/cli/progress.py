"""Progress of a command on stderr: a bar on a terminal, else a plain line every ten seconds."""

from __future__ import annotations

import datetime
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_SECONDS = 10.0
"""Seconds between two plain lines."""


class DetectProgress:
    """Show the number of processed images, the speed, the remaining time and a note.

    Args:
        total: number of images; None if unknown.
        quiet: show nothing.
        console: where to draw; stderr by default.
        what: name of the task.
        things: unit of the count, ``images`` or ``frames``.
        begun: number processed by an earlier run; not counted in the speed.
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
            speed = TextColumn(f'{{task.fields[speed]:.3g}} {things}/s')
            columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), speed, TextColumn('ETA'))
            note = TextColumn('{task.fields[note]}')
            self.bar = Progress(*columns, TimeRemainingColumn(), note, console=self.console, transient=True)
            self.task = self.bar.add_task('', total=total, completed=begun, speed=0.0, note='')

    def __enter__(self) -> DetectProgress:
        """Start the clock and the bar."""
        self.start = self.shown = time.monotonic()
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar."""
        if self.bar:
            self.bar.stop()

    def update(self, done: int, note: str = '') -> None:
        """Show the number of processed images."""
        now = time.monotonic()
        speed = (done - self.begun) / max(now - self.start, 1e-9)
        if self.bar:
            self.bar.update(self.task, completed=done, speed=speed, note=note)
        elif not self.quiet and now - self.shown >= PLAIN_SECONDS:
            self.shown = now
            left = ''
            if self.total and speed:
                left = f'  ETA {datetime.timedelta(seconds=round((self.total - done) / speed))}'
            line = f'{self.what} {done}/{self.total or "?"}  {speed:.3g} {self.things}/s{left}  {note}'
            self.console.print(line.rstrip(), highlight=False, soft_wrap=True)
