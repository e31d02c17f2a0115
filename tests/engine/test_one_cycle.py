"""One cycle of any length: mmengine's values wherever mmengine has any."""

import math

import pytest
import torch
from mmengine.optim import OneCycleLR

from mmdark.engine import ShortOneCycleLR


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
