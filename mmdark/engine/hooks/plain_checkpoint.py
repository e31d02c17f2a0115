"""Write checkpoints that everybody can read: tensors, numbers and text, nothing that a reader must import or run."""

from __future__ import annotations

from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmdark.compat import plain

REBUILT = 'param_schedulers.'
"""What schedules cannot keep (the function of a one-cycle curve), the config gives them again on a resume."""


@HOOKS.register_module()
class PlainCheckpoint(Hook):
    """Turn what mmengine pickles (log history, numpy values) into plain types, so that plain ``torch.load`` reads it.

    mmdark's reader gives the log history back, so training goes on as ever. What cannot be made plain is left out of
    the checkpoint, with a warning.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.named: set[str] = set()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Change ``checkpoint`` before it is written."""
        left_out: list[str] = []
        weights = checkpoint['state_dict']
        _replace(weights, [name for name, value in weights.items() if not isinstance(value, Tensor)], left_out)
        _replace(checkpoint, [name for name in checkpoint if name != 'state_dict'], left_out)
        for name in left_out:
            if not name.startswith(REBUILT) and name not in self.named:
                runner.logger.warning(f'{name} is left out of the checkpoints: it is neither tensor, number nor text')
        self.named.update(left_out)


def _replace(content: dict[str, Any], names: list[str], left_out: list[str]) -> None:
    """Make the entries of ``names`` plain in place."""
    kept = plain({name: content[name] for name in names}, left_out)
    for name in names:
        if name in kept:
            content[name] = kept[name]
        else:
            del content[name]
