"""Measure one case: ours and the published code take turns, A B A B, each in a process of its own.

Both then meet the same state of the machine, and neither sees the other's modules, patches or memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import torch
from mmengine.registry import init_default_scope
from torch.utils.benchmark import Timer

from mmdark.engine.hooks import keep_freed_memory
from mmdark.errors import InputError

from .machine import Settings

SHORTEST_TURN = 0.3
"""Seconds; shorter calls are repeated within a turn."""
PUBLISHED = 'published'
OURS = 'ours'
STATUS = Path('/proc/self/status')


@dataclass(frozen=True)
class Work:
    """What is measured: a number that ``call`` returns is compared with that of the other implementation."""

    call: Callable[[], object]
    images: int
    flops: float | None = None


Build = Callable[[Settings], Work]
"""Prepares the work; a function of a module, or a ``functools.partial`` of one, so that it can be pickled."""


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        name: what the row is about.
        ours: prepares our side.
        published: prepares the other one from ``(settings, checkout)``; None: there is nothing to compare with.
        modes: which of ``amp``, ``channels_last`` and ``compile`` change it.
        reads_photographs: from ``data_root``.
    """

    name: str
    ours: Build
    published: Callable[..., Work] | None = None
    modes: tuple[str, ...] = ()
    reads_photographs: bool = False


@dataclass
class Measured:
    """One side: seconds per call of each turn, a list for each run, and the most bytes that the work took."""

    images: int
    flops: float | None
    runs: list[list[float]] = field(default_factory=list)
    memory: int | None = None
    result: float | None = None

    @property
    def seconds(self) -> float:
        """Of one call: the median of the runs' medians."""
        return median(map(median, self.runs))

    @property
    def spread(self) -> tuple[float, float]:
        """Seconds per call of the fastest and of the slowest turn."""
        turns = [seconds for run in self.runs for seconds in run]
        return min(turns), max(turns)


class Side:
    """One implementation in a process of its own; ``keep_memory``: as ``KeepFreedMemory`` does in every training.

    Raises:
        InputError: what ``build`` raised, or the process died.
    """

    def __init__(self, build: Build, settings: Settings, keep_memory: bool = False) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context('spawn'))
        try:
            self.images, self.flops = self._do(_prepare, build, settings, keep_memory)
        except BaseException:
            self.close()
            raise

    def turn(self) -> tuple[float, float | None]:
        """Seconds per call, and what the last call returned if that is a number."""
        return self._do(_turn)

    def memory(self) -> int | None:
        """The most bytes that the work has taken: on the GPU, or of the process beyond what its imports take."""
        return self._do(_peak_memory)

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()

    def _do(self, function: Callable[..., Any], *arguments: object) -> Any:
        try:
            return self._pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise InputError(
                'a measuring process died, perhaps for want of memory: take a smaller --batch-size or --size'
            ) from None


def measure(builds: dict[str, Build], settings: Settings, repeats: int, runs: int) -> dict[str, Measured]:
    """Turns of all sides, one after the other, ``repeats`` times; all of it ``runs`` times in new processes.

    Raises:
        InputError: a side cannot be prepared.
    """
    measured: dict[str, Measured] = {}
    for _ in range(runs):
        with ExitStack() as stack:
            sides: dict[str, Side] = {}
            for name, build in builds.items():
                sides[name] = side = Side(build, settings, keep_memory=name == OURS)
                stack.callback(side.close)
                measured.setdefault(name, Measured(side.images, side.flops)).runs.append([])
            for _ in range(repeats):
                for name, side in sides.items():
                    seconds, measured[name].result = side.turn()
                    measured[name].runs[-1].append(seconds)
            for name, side in sides.items():
                measured[name].memory = max(filter(None, (side.memory(), measured[name].memory)), default=None)
    return measured


def ratios(sides: dict[str, Measured]) -> Sequence[float]:
    """How many times as many images a second ours takes, run by run; empty where ours stands alone."""
    if PUBLISHED not in sides:
        return []
    ours, other = sides[OURS], sides[PUBLISHED]
    pairs = zip(ours.runs, other.runs, strict=True)
    return [median(theirs) / other.images * ours.images / median(mine) for mine, theirs in pairs]


def take_turn(call: Callable[[], object]) -> tuple[float, float | None]:
    """See :meth:`Side.turn`; torch's timer calls it once before, and waits for a GPU."""
    last: list[object] = []

    def keep_result() -> None:
        last[:] = [call()]

    timer = Timer('call()', globals={'call': keep_result}, num_threads=torch.get_num_threads())
    seconds = timer.blocked_autorange(min_run_time=SHORTEST_TURN).median
    (result,) = last
    number = isinstance(result, (int, float)) or (isinstance(result, torch.Tensor) and result.numel() == 1)
    return seconds, float(result) if number else None


# What follows runs in the process of a side.
_state: dict[str, Any] = {}


def _prepare(build: Build, settings: Settings, keep_memory: bool) -> tuple[int, float | None]:
    warnings.simplefilter('ignore')
    if keep_memory:
        keep_freed_memory()
    torch.set_num_threads(settings.threads)
    cv2.setNumThreads(settings.threads)
    init_default_scope('mmdet')
    _state.update(device=settings.device, base=start_counting_memory(settings.device))
    work = _state['work'] = build(settings)
    return work.images, work.flops


def _turn() -> tuple[float, float | None]:
    return take_turn(_state['work'].call)


def _peak_memory() -> int | None:
    return peak_memory(_state['device'], _state['base'])


def start_counting_memory(device: str) -> int:
    """Reset the peak; bytes that are in use before the work begins."""
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    if not STATUS.exists():
        return 0
    Path('/proc/self/clear_refs').write_text('5')  # resets VmHWM, see proc(5)
    return _status('VmRSS')


def peak_memory(device: str, base: int) -> int | None:
    """The most bytes in use since, beyond ``base``; None where the system does not tell."""
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() - base
    return max(_status('VmHWM') - base, 0) if STATUS.exists() else None


def _status(name: str) -> int:
    """A line of ``/proc/self/status``, which is in KiB, in bytes; getrusage would include the parent's peak."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f'{name}:'))
    return int(line.split()[1]) * 1024
