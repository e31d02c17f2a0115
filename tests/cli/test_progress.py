"""How far a command is, without a terminal: plain lines, and a speed that counts only what this run does."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mmdark.cli.progress import DetectProgress


@pytest.mark.parametrize(
    ('begun', 'line'),
    [(0, 'detecting 520/1000  26 frames/s  ETA 0:00:18\n'), (500, 'detecting 520/1000  1 frames/s  ETA 0:08:00\n')],
)
def test_frames_of_an_earlier_run_do_not_count_for_the_speed(
    monkeypatch: pytest.MonkeyPatch, begun: int, line: str
) -> None:
    now = 100.0
    monkeypatch.setattr('mmdark.cli.progress.time.monotonic', lambda: now)
    said = io.StringIO()
    with DetectProgress(1000, console=Console(file=said), things='frames', begun=begun) as progress:
        progress.update(begun)
        now += 20
        progress.update(520)
    assert said.getvalue() == line
