"""The learning rate: its shape by hand, and an end that may change between two runs."""

from __future__ import annotations

import math

import pytest
import torch
from mmdet.registry import PARAM_SCHEDULERS
from mmengine.optim import OneCycleLR

from mmdark.engine import ShortOneCycleLR, TrapezoidLR
from mmdark.engine.schedulers import trapezoid


def scheduler(rates: tuple[float, ...] = (1.0,), **settings: float) -> TrapezoidLR:
    groups = [dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=rate) for rate in rates]
    built = PARAM_SCHEDULERS.build(dict(type='TrapezoidLR', optimizer=torch.optim.SGD(groups, lr=1.0), **settings))
    assert isinstance(built, TrapezoidLR) and not built.by_epoch
    return built


def steps(built: TrapezoidLR, count: int) -> list[float]:
    """The learning rate of the first group in each of the next iterations."""
    rates = []
    for _ in range(count):
        rates.append(built.optimizer.param_groups[0]['lr'])
        built.optimizer.step()
        built.step()
    return rates


def test_up_along_and_down() -> None:
    built = scheduler((1.0, 0.25), max_iters=10, warm_up=4, cool_down=0.3)
    assert steps(built, 5) == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert [group['lr'] for group in built.optimizer.param_groups] == [1.0, 0.25]
    assert steps(built, 5) == pytest.approx([1.0, 1.0, 1.0, 2 / 3, 1 / 3])
    assert built.get_last_value() == [0.0, 0.0]


def test_neither_warm_up_nor_cool_down() -> None:
    assert [trapezoid(step, 0, 3, 0.0) for step in range(5)] == [1.0, 1.0, 1.0, 0.0, 0.0]


def test_the_end_is_the_configs_not_the_checkpoints() -> None:
    """Resumed with a nearer end, the learning rate goes on as if that end had been known from the beginning."""
    first = scheduler(max_iters=1000, warm_up=2, cool_down=0.5)
    steps(first, 5)
    second = scheduler(max_iters=12, warm_up=2, cool_down=0.5)
    second.load_state_dict(first.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    known = scheduler(max_iters=12, warm_up=2, cool_down=0.5)
    assert steps(known, 12)[5:] == steps(second, 7)


def curve(kind: type[OneCycleLR], steps: int, share: float, three_phase: bool = False) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = kind(optimizer, eta_max=1.0, total_steps=steps, pct_start=share, three_phase=three_phase, by_epoch=False)
    rates = [optimizer.param_groups[0]['lr']]
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]['lr'])
    return rates


@pytest.mark.parametrize(('steps', 'share'), [(9, 0.1), (10, 0.3), (11, 0.1), (24, 0.3), (1, 0.1), (2, 0.0)])
def test_values_are_mmengines(steps: int, share: float) -> None:
    assert curve(ShortOneCycleLR, steps, share) == curve(OneCycleLR, steps, share)
    assert curve(ShortOneCycleLR, 30, share, True) == curve(OneCycleLR, 30, share, True)


@pytest.mark.parametrize(('steps', 'share'), [(10, 0.1), (20, 0.05), (1, 1.0), (10, 1.0), (2, 0.5)])
def test_a_phase_without_a_step_is_left_out(steps: int, share: float) -> None:
    with pytest.raises(ZeroDivisionError):
        curve(OneCycleLR, steps, share)
    rates = curve(ShortOneCycleLR, steps, share)
    if share < 1:  # at the top from the first step on, down by half a cosine
        down = [0.5 + 0.5 * math.cos(math.pi * step / max(1, steps - 1)) for step in range(steps)]
        assert rates[:-1] == pytest.approx([4e-6 + (1 - 4e-6) * part for part in down], rel=1e-9)
    assert max(rates[:steps]) == pytest.approx(1.0)
