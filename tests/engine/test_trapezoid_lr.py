"""The learning rate: its shape by hand, and an end that may change between two runs."""

from __future__ import annotations

import pytest
import torch
from mmdet.registry import PARAM_SCHEDULERS

from mmdark.engine import TrapezoidLR
from mmdark.engine.trapezoid_lr import trapezoid


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
