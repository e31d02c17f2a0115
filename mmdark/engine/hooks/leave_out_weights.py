"""Leave the weights of named parts out of a checkpoint, so that what is left can be checked strictly."""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from .strict_checkpoint import detector_of


@HOOKS.register_module()
class LeaveOutWeights(Hook):
    """Take keys that begin with one of ``prefixes`` out of a loaded checkpoint, before ``StrictCheckpoint`` sees it.

    For fine-tuning a part of a model: what the part has must still be there as a whole and in its shapes, which
    ``StrictCheckpoint(strict=False)`` would no longer ask for. A checkpoint without such keys stays as it is.

    Args:
        prefixes: how the keys begin, such as ``reflectance_decoder.``.
        start_anew: how the keys of weights begin that a training keeps as it has initialised them where the
            checkpoint has them in another shape: layers that predict other classes, ``bbox_head.convs_pred.``. A test
            takes none of these.
    """

    priority = 'HIGHEST'

    def __init__(self, prefixes: Sequence[str], start_anew: Sequence[str] = ()) -> None:
        self.prefixes, self.start_anew = tuple(prefixes), tuple(start_anew)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Change ``checkpoint`` before it goes into the model."""
        weights = checkpoint.get('state_dict', checkpoint)
        for name in [name for name in weights if name.removeprefix('module.').startswith(self.prefixes)]:
            del weights[name]
        if not self.start_anew or not isinstance(runner._train_loop, BaseLoop):
            return
        own = detector_of(runner).state_dict()
        for key in [key for key in weights if key.removeprefix('module.').startswith(self.start_anew)]:
            name = key.removeprefix('module.')
            if name in own and own[name].shape != weights[key].shape:
                weights[key] = own[name]
