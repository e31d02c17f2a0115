"""Turns in the order A B A B, medians, ratios, memory; and what goes wrong in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from functools import partial
from pathlib import Path

import pytest

from benchmarks.machine import Settings
from benchmarks.measure import OURS, PUBLISHED, SHORTEST_TURN, Measured, Side, measure, ratios, take_turn
from mmdark.errors import InputError
from tests.benchmarks.noted_work import failing, memory_of_64_mebibytes, noting

SETTINGS = Settings(config='none')
MEBIBYTE = 2**20


def test_sides_take_turns(tmp_path: Path) -> None:
    """Each turn begins with one call that does not count."""
    notes = tmp_path / 'notes'
    builds = {name: partial(noting, name=name[0], file=notes, seconds=0.31) for name in (OURS, PUBLISHED)}
    sides = measure(builds, SETTINGS, repeats=3, runs=1)
    assert notes.read_text() == 'oopp' * 3
    for side in sides.values():
        assert [len(run) for run in side.runs] == [3]
        assert side.memory < 64 * MEBIBYTE
        assert side.seconds >= 0.31 and (side.images, side.flops, side.result) == (2, 1e9, 0.5)


def test_memory_is_that_of_the_work() -> None:
    """Not of what came before, even if that was more; in a process where nothing else is given back meanwhile."""
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        assert 60 * MEBIBYTE < pool.apply(memory_of_64_mebibytes) < 128 * MEBIBYTE


@pytest.mark.parametrize(
    ('how', 'error', 'says'),
    [('input', InputError, 'the config is wrong'), ('dies', InputError, 'a measuring process died')],
)
def test_what_fails_in_the_other_process_is_told_here(how: str, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        Side(partial(failing, how=how), SETTINGS)


def test_short_calls_are_repeated() -> None:
    seconds: list[float] = []

    def call() -> int:
        begun = time.perf_counter()
        time.sleep(0.01)
        seconds.append(time.perf_counter() - begun)
        return len(seconds)

    mean, result = take_turn(call)
    assert result == len(seconds) > SHORTEST_TURN / max(seconds)
    assert min(seconds) <= mean <= max(seconds) * 1.1


def test_medians_and_ratios() -> None:
    ours = Measured(images=2, flops=None, runs=[[1.0, 3.0, 2.0], [4.0, 4.0, 9.0], [1.0, 1.0, 1.0]])
    other = Measured(images=1, flops=None, runs=[[5.0], [6.0], [7.0]])
    assert ours.seconds == 2.0 and ours.spread == (1.0, 9.0)
    assert ratios({OURS: ours, PUBLISHED: other}) == [5.0, 3.0, 14.0]  # seconds an image: 5/1, 6/2, 7/0.5
    assert ratios({OURS: ours}) == []
