"""A learning rate for trainings of which nobody knows yet how long they will be."""

from __future__ import annotations

from typing import Any

from mmdet.registry import PARAM_SCHEDULERS
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler


def trapezoid(step: int, warm_up: int, max_iters: int, cool_down: float) -> float:
    """Factor of the learning rate: a straight line up, a constant, a straight line down to zero.

    Args:
        step: iterations that are done.
        warm_up: iterations until the factor is 1.
        max_iters: where the factor is 0.
        cool_down: part of ``max_iters`` at the end in which the factor falls.

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

    Before the cool-down the learning rate does not depend on the end of the training. A training may therefore be
    resumed with another ``max_iters``, which is why the settings are always those of the config, not of a checkpoint.

    Args:
        optimizer: see mmengine.
        max_iters: end of the training, iterations.
        warm_up: iterations.
        cool_down: part of ``max_iters``, between 0 and 1.
        **kwargs: of mmengine's schedulers.
    """

    def __init__(
        self, optimizer: object, max_iters: int, warm_up: int = 500, cool_down: float = 0.2, **kwargs: object
    ) -> None:
        self.settings = dict(warm_up=warm_up, max_iters=max_iters, cool_down=cool_down)
        super().__init__(optimizer, **{'by_epoch': False, **kwargs})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take everything but the settings from a checkpoint."""
        super().load_state_dict({**state_dict, 'settings': self.settings})

    def _get_value(self) -> list[float]:
        return [value * trapezoid(self.last_step, **self.settings) for value in self.base_values]
