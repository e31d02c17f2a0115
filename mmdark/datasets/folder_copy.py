"""What copying a data set takes: its files in a fixed order, many processes, a progress line, whole files only."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import torch

from mmdark.errors import InputError
from mmdark.file_limits import refuse_endless, walk_once
from mmdark.whole_file import PART

Task = TypeVar('Task')
Result = TypeVar('Result')

_START = 'forkserver' if 'forkserver' in multiprocessing.get_all_start_methods() else 'spawn'


def files_below(folder: Path) -> list[str]:
    """All files below a folder, relative to it with ``/``, in the order of their names; links are followed once.

    Example:
        >>> from pathlib import Path
        >>> 'errors.py' in files_below(Path(__file__).parents[1])
        True
    """
    found = []
    for here, _, names in walk_once(folder):
        found += [
            Path(here, name).relative_to(folder).as_posix()
            for name in names
            if not name.endswith(PART) and not name.startswith('._')
        ]
    return sorted(found)


def content_of(path: Path) -> bytes:
    """The content of a file that is copied.

    Raises:
        InputError: it cannot be read, or may never end.
    """
    try:
        refuse_endless(path)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}): mend it, or take it out of the data set') from None


def check_folders(source: Path, out: Path) -> None:
    """See that there is something to copy, and that the copy lies elsewhere.

    Raises:
        InputError: ``source`` is no folder, or one of the two lies inside the other.
    """
    if not source.is_dir():
        raise InputError(f'{source} is not a folder: name the folder of a data set')
    first, second = source.resolve(), out.resolve()
    if first == second or first in second.parents or second in first.parents:
        raise InputError(f'--out {out} and {source} lie in each other: choose a folder beside the data set')


def run_over(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int | None, title: str
) -> Iterator[tuple[Task, Result | InputError]]:
    """Call a function on every task in several processes, each with one thread, and show how far it is on stderr.

    Args:
        function: picklable; what it raises as InputError is handed over in place of a result.
        tasks: picklable.
        workers: number of processes; by default one a core.
        title: of the progress line.

    Yields:
        Each task with its result, in the order of the tasks.

    Raises:
        InputError: a process died.
    """
    if workers is not None and workers < 1:
        raise InputError(f'--workers {workers}: give 1 or more')
    workers = min(workers or _cores(), len(tasks)) or 1
    # One thread everywhere: what a vectorised root gives may hang on where the threads share an image out. A plain fork
    # would inherit OpenCV's threads half-dead and wait for them for ever; the fork server has none.
    context = multiprocessing.get_context(_START)
    if _START == 'forkserver':
        context.set_forkserver_preload([function.func.__module__ if isinstance(function, partial) else __name__])
    with (
        ProcessPoolExecutor(workers, mp_context=context, initializer=_use_one_thread) as pool,
        closing(_Progress(title, len(tasks))) as progress,
    ):
        results = pool.map(partial(_guarded, function), tasks, chunksize=max(1, min(16, len(tasks) // (4 * workers))))
        try:
            for task, result in zip(tasks, results, strict=True):
                progress.step()
                yield task, result
        except BrokenProcessPool:
            raise InputError(
                f'{title}: a process was killed, most likely for want of memory; run again with fewer --workers'
            ) from None


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _use_one_thread() -> None:
    """For a process of the pool."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _guarded(function: Callable[[Task], Result], task: Task) -> Result | InputError:
    """The result, or the InputError that there was instead."""
    try:
        return function(task)
    except InputError as error:
        return error


class _Progress:
    """One line on a terminal; elsewhere a line every tenth."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done, self.start = title, total, 0, time.monotonic()
        self.live = sys.stderr.isatty()

    def step(self) -> None:
        """One more is done."""
        self.done += 1
        tenths = self.done * 10 // self.total
        if self.live or (tenths > (self.done - 1) * 10 // self.total):
            seconds = time.monotonic() - self.start
            left = seconds / self.done * (self.total - self.done)
            line = f'{self.title} {self.done}/{self.total}, {seconds:.0f} s, {left:.0f} s left'
            print(f'\r{line}\x1b[K' if self.live else line, end='' if self.live else '\n', file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line."""
        if self.live:
            print(file=sys.stderr)
