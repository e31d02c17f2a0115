"""The optimizers and schedules of a training, of which mmengine has one or several, by name."""

from __future__ import annotations

from mmengine.optim import OptimWrapper, OptimWrapperDict, _ParamScheduler
from mmengine.runner import Runner

ONLY = ''
"""The name of the only one."""


def wrappers_of(runner: Runner) -> dict[str, OptimWrapper]:
    """Name → optimizer wrapper; :data:`ONLY` names the only one."""
    wrapper = runner.optim_wrapper
    return dict(wrapper.items()) if isinstance(wrapper, OptimWrapperDict) else {ONLY: wrapper}


def schedulers_of(runner: Runner) -> dict[str, list[_ParamScheduler]]:
    """Name of the optimizer → its schedules, as they were built."""
    schedulers = runner.param_schedulers or []
    return schedulers if isinstance(schedulers, dict) else {ONLY: schedulers}
