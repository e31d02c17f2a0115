"""Leave the weights of named parts out of a checkpoint, so that what is left can be checked strictly."""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class LeaveOutWeights(Hook):
    """Take keys that begin with one of ``prefixes`` out of a loaded checkpoint, before ``StrictCheckpoint`` sees it.

    For fine-tuning a part of a model: what the part has must still be there as a whole and in its shapes, which
    ``StrictCheckpoint(strict=False)`` would no longer ask for. A checkpoint without such keys stays as it is.

    Args:
        prefixes: how the keys begin, such as ``reflectance_decoder.``.
    """

    priority = 'HIGHEST'

    def __init__(self, prefixes: Sequence[str]) -> None:
        self.prefixes = tuple(prefixes)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Change ``checkpoint`` before it goes into the model."""
        weights = checkpoint.get('state_dict', checkpoint)
        for name in [name for name in weights if name.removeprefix('module.').startswith(self.prefixes)]:
            del weights[name]
