"""Learning-rate schedules that mmengine lacks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mmdet.registry import PARAM_SCHEDULERS
from mmengine.optim import OneCycleLR
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler


def trapezoid(step: int, warm_up: int, max_iters: int, cool_down: float) -> float:
    """Learning-rate factor after ``step`` iterations: increases linearly to 1, is constant, decreases linearly to 0.

    Args:
        step: number of finished iterations.
        warm_up: number of iterations until the factor is 1.
        max_iters: iteration at which the factor is 0.
        cool_down: fraction of ``max_iters``, at the end, in which the factor decreases.

    Example:
        >>> [trapezoid(step, 2, 10, 0.4) for step in (0, 1, 5, 6, 8, 9)]
        [0.5, 1.0, 1.0, 1.0, 0.5, 0.25]
    """
    rising = (step + 1) / max(warm_up, 1)
    falling = (max_iters - step) / max(cool_down * max_iters, 1)
    return max(min(1.0, rising, falling), 0.0)


@PARAM_SCHEDULERS.register_module()
class TrapezoidLR(LRSchedulerMixin, _ParamScheduler):
    """Warm-up, constant learning rate, cool-down (Hägele et al., NeurIPS 2024, arXiv:2405.18392).

    Before the cool-down, the learning rate does not depend on ``max_iters``, so a training can be resumed with another
    ``max_iters``; the settings always come from the config, not from the checkpoint. Arguments are those of
    :func:`trapezoid`.
    """

    def __init__(
        self, optimizer: object, max_iters: int, warm_up: int = 500, cool_down: float = 0.2, **kwargs: object
    ) -> None:
        self.settings: dict[str, Any] = dict(warm_up=warm_up, max_iters=max_iters, cool_down=cool_down)
        super().__init__(optimizer, **{'by_epoch': False, **kwargs})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state from a checkpoint, except the settings."""
        super().load_state_dict({**state_dict, 'settings': self.settings})

    def _get_value(self) -> list[float]:
        return [value * trapezoid(self.last_step, **self.settings) for value in self.base_values]


@PARAM_SCHEDULERS.register_module(name='OneCycleLR')
class ShortOneCycleLR(OneCycleLR):
    """``OneCycleLR`` that skips phases of length zero, which occur in very short trainings.

    mmengine 0.10.7 divides by the length of the first phase, which is zero if ``pct_start * total_steps == 1``.
    """

    _schedule_phases: list[dict[str, Any]]

    def _get_value(self) -> list[float]:
        phases = self._schedule_phases
        ends = [0, *(phase['end_step'] for phase in phases)]
        kept = [phase for (start, end), phase in zip(pairwise(ends), phases, strict=True) if start != end]
        self._schedule_phases = kept or [dict(phases[-1], end_step=1)]
        return super()._get_value()
