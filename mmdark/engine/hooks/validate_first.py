"""Validate before the first iteration."""

from __future__ import annotations

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from .whole_checkpoint import VALIDATED


@HOOKS.register_module()
class ValidateFirst(Hook):
    """Validate the initial weights of a training, so that the log contains their scores.

    A resumed training does not repeat this, unless it was stopped during this validation.
    """

    priority = 'LOWEST'  # after SaveOnSigterm, which handles signals from then on

    def before_train(self, runner: Runner) -> None:
        """Validate unless this is already done."""
        if runner.val_loop is not None and runner.iter == 0 and VALIDATED not in runner.message_hub.runtime_info:
            runner.val_loop.run()
