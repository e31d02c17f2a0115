"""Where the time of a training step goes: its longest kernels, and how long the GPU has nothing to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from .network import our_step
from .settings import Settings
from .side import finish

STEPS, WARM = 5, 3
LONGEST = 10


class Profile(NamedTuple):
    """Of a training step.

    Attributes:
        rows: the ten that take longest: name, milliseconds a step, share of all; kernels of a GPU, operators of a CPU.
        idle: share of the time in which no kernel runs; None on a CPU.
    """

    rows: list[tuple[str, float, float]]
    idle: float | None


def profile_step(settings: Settings) -> Profile:
    """Profile a few training steps, after some that do not count."""
    work = our_step(settings)
    for _ in range(WARM):
        work.call()
    finish(settings.device)
    on_gpu = settings.device == 'cuda'
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        for _ in range(STEPS):
            work.call()
        finish(settings.device)
    if not on_gpu:
        times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
        return Profile(_longest(times), None)
    times, spans = {}, []
    for event in profiler.events():
        if event.device_type == DeviceType.CUDA and not getattr(event, 'is_user_annotation', False):
            span = event.time_range.start, event.time_range.end
            times[event.name] = times.get(event.name, 0.0) + span[1] - span[0]
            spans.append(span)
    return Profile(_longest(times), idle_share(spans))


def idle_share(spans: Iterable[tuple[float, float]]) -> float:
    """The share of the time, from the first start to the last end, that no span covers.

    Example:
        >>> idle_share([(0.0, 4.0), (3.0, 5.0), (6.0, 8.0)])
        0.125
    """
    covered, first, last = 0.0, None, 0.0
    for start, end in sorted(spans):
        first, last = (start, start) if first is None else (first, last)
        covered += max(0.0, end - max(start, last))
        last = max(last, end)
    return 0.0 if first is None else 1.0 - covered / (last - first)


def _longest(times: dict[str, float]) -> list[tuple[str, float, float]]:
    """From microseconds of all steps."""
    total = sum(times.values())
    best = sorted(times.items(), key=lambda item: -item[1])[:LONGEST]
    return [(name, time / STEPS / 1000, time / total) for name, time in best]
