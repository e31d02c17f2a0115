"""Measure one case: turns of ours and of the published code in the order A B A B, so that both meet one machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from .settings import Settings
from .side import Build, Side

SHORTEST_TURN = 0.3
"""Seconds; shorter calls are repeated within a turn."""
PUBLISHED = 'published'
OURS = 'ours'


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        name: of the subject, and what the row is about.
        ours: prepares our side.
        published: prepares the other one from ``(settings, checkout)``; None: there is nothing to compare with.
        modes: which of ``amp``, ``channels_last`` and ``compile`` change it.
        reads_photographs: from ``data_root``.
    """

    name: str
    ours: Build
    published: Callable[[Settings, str], object] | None = None
    modes: tuple[str, ...] = ()
    reads_photographs: bool = False


@dataclass
class Measured:
    """What was measured of one side.

    Attributes:
        images: in one call.
        flops: of one call, if they are known.
        runs: seconds of one call in each turn, a list a run; every run has a process of its own.
        memory: the most bytes that the work took in any run.
        result: what its last call returned, if that is a number.
    """

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
        """The fastest and the slowest turn, in seconds of one call."""
        turns = [seconds for run in self.runs for seconds in run]
        return min(turns), max(turns)


def measure(builds: dict[str, Build], settings: Settings, repeats: int, runs: int) -> dict[str, Measured]:
    """Turns of all sides, one after the other, ``repeats`` times in each of ``runs`` runs.

    Args:
        builds: name of a side → what prepares it.
        settings: for all of them.
        repeats: turns of each side in a run.
        runs: how often everything is done anew, in new processes.

    Raises:
        InputError: a side cannot be prepared.
    """
    measured: dict[str, Measured] = {}
    for _ in range(runs):
        sides: dict[str, Side] = {}
        try:
            for name, build in builds.items():
                sides[name] = Side(build, settings, keep_memory=name == OURS)
            _one_run(sides, measured, settings.device, repeats)
        finally:
            for side in sides.values():
                side.close()
    return measured


def _one_run(sides: dict[str, Side], measured: dict[str, Measured], device: str, repeats: int) -> None:
    calls = {}
    for name, side in sides.items():
        measured.setdefault(name, Measured(side.images, side.flops)).runs.append([])
        calls[name] = calls_in_a_turn(side.turn(1, warm=True).seconds)
    for _ in range(repeats):
        for name, side in sides.items():
            turn = side.turn(calls[name], warm=calls[name] > 1 or device == 'cuda')
            measured[name].runs[-1].append(turn.seconds)
            measured[name].result = turn.result
    for name, side in sides.items():
        peak = side.memory()
        if peak is not None:
            measured[name].memory = max(peak, measured[name].memory or 0)


def calls_in_a_turn(seconds: float) -> int:
    """How many calls of so many seconds make a turn.

    Example:
        >>> calls_in_a_turn(0.01), calls_in_a_turn(20.0)
        (30, 1)
    """
    return max(1, math.ceil(round(SHORTEST_TURN / seconds, 6)))


def ratios(sides: dict[str, Measured]) -> Sequence[float]:
    """How many times as many images a second ours takes, run by run; empty where ours stands alone."""
    if PUBLISHED not in sides:
        return []
    ours, other = sides[OURS], sides[PUBLISHED]
    pairs = zip(ours.runs, other.runs, strict=True)
    return [median(theirs) / other.images * ours.images / median(mine) for mine, theirs in pairs]
