"""Checkpoints of tensors, numbers and text, which anybody can read."""

from __future__ import annotations

from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmdark.compat import plain

REBUILT = 'param_schedulers.'
"""The function of a one-cycle curve is not stored: a resume rebuilds it from the config."""


@HOOKS.register_module()
class PlainCheckpoint(Hook):
    """Turn what mmengine pickles (log history, NumPy values) into plain types, which ``torch.load`` reads.

    mmdark's reader restores the log history. What has no plain form is left out, with a warning.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.warned: set[str] = set()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Change ``checkpoint`` before it is written."""
        left_out: list[str] = []
        weights = checkpoint['state_dict']
        _replace(weights, [name for name, value in weights.items() if not isinstance(value, Tensor)], left_out)
        _replace(checkpoint, [name for name in checkpoint if name != 'state_dict'], left_out)
        for name in left_out:
            if not name.startswith(REBUILT) and name not in self.warned:
                runner.logger.warning(f'{name} is left out of the checkpoints: it is neither tensor, number nor text')
        self.warned.update(left_out)


def _replace(content: dict[str, Any], names: list[str], left_out: list[str]) -> None:
    kept = plain({name: content.pop(name) for name in names}, left_out)
    content.update(kept)
