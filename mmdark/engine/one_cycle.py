"""A one-cycle schedule that may have a phase without a step, as tiny trainings have.

Cause: with ``pct_start * total_steps == 1`` mmengine 0.10.7 (and torch's own schedule) divides by the length of the
first phase, zero. End: when mmengine leaves out such a phase.
"""

from __future__ import annotations

from itertools import pairwise

from mmdet.registry import PARAM_SCHEDULERS
from mmengine.optim import OneCycleLR


@PARAM_SCHEDULERS.register_module(name='OneCycleLR')
class ShortOneCycleLR(OneCycleLR):
    """``OneCycleLR`` whose phases of no length are left out; all its other values are mmengine's."""

    def _get_value(self) -> list[float]:
        phases = self._schedule_phases
        ends = [0, *(phase['end_step'] for phase in phases)]
        kept = [phase for (start, end), phase in zip(pairwise(ends), phases, strict=True) if start != end]
        self._schedule_phases = kept or [dict(phases[-1], end_step=1)]
        return super()._get_value()
