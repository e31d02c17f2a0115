"""Refuse a checkpoint that does not fit the model, where mmengine only logs what it leaves out."""

from __future__ import annotations

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmdark.errors import InputError


@HOOKS.register_module()
class StrictCheckpoint(Hook):
    """Compare keys and shapes of a loaded checkpoint with the model's.

    Args:
        strict: False lets a checkpoint load in part, as mmengine does; for fine-tuning from another model.
    """

    priority = 'VERY_HIGH'

    def __init__(self, strict: bool = True) -> None:
        self.strict = strict

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check a checkpoint before it goes into the model.

        Raises:
            InputError: keys are missing or left over, or shapes differ.
        """
        if not self.strict:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        given = {
            name.removeprefix('module.'): tuple(value.shape)
            for name, value in checkpoint.get('state_dict', checkpoint).items()
            if hasattr(value, 'shape')
        }
        faults = (
            ('lacks', [name for name in wanted if name not in given]),
            ('has besides', [name for name in given if name not in wanted]),
            ('has in another shape', [name for name in wanted if name in given and given[name] != wanted[name]]),
        )
        found = ', '.join(f'it {fault} {len(names)} keys ({names[0]}, ...)' for fault, names in faults if names)
        if found:
            raise InputError(
                f'{runner._load_from or "the checkpoint"} does not fit {type(model).__name__} as configured: {found} '
                f'of {len(wanted)}; give the config it was trained with, or load what fits with '
                '--cfg-options default_hooks.strict_checkpoint.strict=False'
            )
