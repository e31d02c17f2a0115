"""Validate before the first iteration."""

from __future__ import annotations

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from .whole_checkpoint import VALIDATED


@HOOKS.register_module()
class ValidateFirst(Hook):
    """Validate the weights that a training starts from, so that its log begins with what they can do.

    A training that was stopped in this validation begins with it again. One that goes on later does not repeat it.
    """

    priority = 'LOWEST'  # after SaveOnSigterm, which listens from then on, and repeats a validation that was stopped

    def before_train(self, runner: Runner) -> None:
        """Validate, unless that is done."""
        if runner.val_loop is not None and runner.iter == 0 and VALIDATED not in runner.message_hub.runtime_info:
            runner.val_loop.run()
