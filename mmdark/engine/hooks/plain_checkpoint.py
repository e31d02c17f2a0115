"""Write checkpoints that contain only tensors, numbers and text, so that ``torch.load`` can read them safely."""

from __future__ import annotations

from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmdark.compat import plain

REBUILT = 'param_schedulers.'
"""Key prefix without warnings: the annealing function of a one-cycle schedule is rebuilt from the config."""


@HOOKS.register_module()
class PlainCheckpoint(Hook):
    """Convert objects that mmengine pickles (log history, NumPy values) to plain types, which ``torch.load`` reads.

    mmdark restores the log history on loading. Values that cannot be converted are left out, with a warning.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.warned: set[str] = set()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Convert ``checkpoint`` in place before it is written."""
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
