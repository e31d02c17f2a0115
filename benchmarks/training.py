"""A training step more closely: its longest kernels, how long the GPU idles, and the loss in two precisions."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import cycle, islice

import torch
from mmengine.optim import build_optim_wrapper
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from mmdark.apis import enable_amp

from .machine import Settings
from .model import build_model, read_config
from .network import our_step, random_batches
from .records import markdown_lines

STEPS, WARM = 5, 3
LONGEST = 10
BATCHES = 8
"""Random ones of a loss curve, trained again and again."""
WINDOW = 50
"""Steps that a row of the loss curve averages."""


def profile_step(settings: Settings) -> dict:
    """Profile a few training steps.

    Returns:
        ``rows``: name, milliseconds a step and share of the ten longest kernels of a GPU or operators of a CPU;
        ``idle``: share of the time in which no kernel runs, None on a CPU.
    """
    work = our_step(settings)
    on_gpu = settings.device == 'cuda'
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    for _ in range(WARM):
        work.call()
    wait()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as profiler:
        start = time.perf_counter()
        for _ in range(STEPS):
            work.call()
        wait()
        microseconds = (time.perf_counter() - start) * 1e6
    events = profiler.key_averages()
    if on_gpu:
        kernels = [event for event in events if event.device_type == DeviceType.CUDA and not event.is_user_annotation]
        times = {event.key: event.self_device_time_total for event in kernels}
    else:
        times = {event.key: event.self_cpu_time_total for event in events}
    total = sum(times.values())
    longest = sorted(times.items(), key=lambda item: -item[1])[:LONGEST]
    rows = [(name, each / STEPS / 1000, each / total) for name, each in longest]
    return dict(rows=rows, idle=max(0.0, 1 - total / microseconds) if on_gpu else None)


def profile_lines(profile: dict) -> str:
    """The profile in Markdown."""
    idle = profile['idle']
    head = 'A training step on a CPU' if idle is None else f'The GPU idles {idle:.1%} of a training step'
    rows = [(f'`{name[:80]}`', f'{milliseconds:.2f}', f'{share:.1%}') for name, milliseconds, share in profile['rows']]
    return f'{head}; what takes longest in it:\n\n{markdown_lines(("kernel", "ms a step", "share"), rows)}'


def loss_curve(settings: Settings, steps: int, batch: int) -> list[float]:
    """Total loss of each step of a training on the same random batches, with the config's optimizer and rate."""
    cfg = read_config(settings)
    if settings.amp:
        enable_amp(cfg)
    model = build_model(cfg, settings).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batches = [random_batches(cfg, replace(settings, seed=seed), batch)() for seed in range(BATCHES)]
    losses = [model.train_step(data, wrapper)['loss'].detach() for data in islice(cycle(batches), steps)]
    return torch.stack(losses).tolist()


def curve_lines(curve: dict[str, list[float]]) -> str:
    """The means of windows of both curves in Markdown."""
    rows = []
    for first in range(0, len(curve['float32']), WINDOW):
        parts = [curve[precision][first : first + WINDOW] for precision in ('float32', 'bfloat16')]
        mean, half = (sum(part) / len(part) for part in parts)
        steps = f'{first + 1} to {first + len(parts[0])}'
        rows.append((steps, f'{mean:.4f}', f'{half:.4f}', f'{half / mean - 1:+.2%}'))
    table = markdown_lines(('steps', 'float32', 'bfloat16', 'difference'), rows)
    return f'Mean loss on the same random batches:\n\n{table}'
