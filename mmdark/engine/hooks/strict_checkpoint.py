"""Refuse a checkpoint that does not fit the model, where mmengine only logs what it leaves out."""

from __future__ import annotations

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdark.engine.resumable import check_resumable
from mmdark.errors import InputError

PUBLISHED_KEY = 'loc_pal1.0.weight'
"""In every detector of the published DSFD and DAI-Net code."""
PARAMETERS = ('.weight', '.bias')
"""How the names of parameters end; others may be buffers."""


def detector_of(runner: Runner) -> nn.Module:
    """The model that was trained, without the wrappers of several processes and of test-time augmentation."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return model.module if isinstance(model, BaseTTAModel) else model


@HOOKS.register_module()
class StrictCheckpoint(Hook):
    """Compare keys and shapes of a loaded checkpoint with the model's.

    Modules with ``weights_of_its_own = True`` may be missing as a whole: their weights come from another file.

    Args:
        strict: False lets a checkpoint load in part, as mmengine does; for fine-tuning from another model.
    """

    priority = 'VERY_HIGH'

    def __init__(self, strict: bool = True) -> None:
        self.strict = strict

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check a checkpoint before it goes into the model.

        Raises:
            InputError: keys are missing or left over, shapes differ, a weight is no number, or training cannot go on
                from it.
        """
        name = getattr(runner, '_load_from', None) or 'the checkpoint'
        if getattr(runner, '_resume', False) and 'optimizer' not in checkpoint:
            raise InputError(
                f'{name} holds weights but no training to go on with; start from it with --cfg-options load_from={name}'
            )
        if getattr(runner, '_resume', False):
            check_resumable(checkpoint, name)
        check_finite(checkpoint.get('state_dict', checkpoint), name)
        if self.strict:
            partly = ', or load what fits with --cfg-options default_hooks.strict_checkpoint.strict=False'
            check_fits(checkpoint.get('state_dict', checkpoint), detector_of(runner), name, partly)


def check_finite(state: dict[str, Tensor], name: str) -> None:
    """See that weights are numbers; a buffer may be infinite, as a mask is.

    Args:
        state: the weights.
        name: of the checkpoint, for the error.

    Raises:
        InputError: one of them is not.
    """
    strange = [key for key, value in state.items() if isinstance(value, Tensor) and not _is_finite(key, value)]
    if strange:
        raise InputError(
            f'{name} holds NaN or infinity in {len(strange)} of {len(state)} weights ({strange[0]}, ...), with which a '
            'detector finds nothing: name an earlier checkpoint, or copy it again'
        )


def _is_finite(key: str, value: Tensor) -> bool:
    if not value.is_floating_point():
        return True
    value = value.float() if value.element_size() == 1 else value  # eight bits have no isnan
    return bool((value.isfinite() if key.endswith(PARAMETERS) else ~value.isnan()).all())


def check_fits(state: dict[str, Tensor], model: nn.Module, name: str, otherwise: str = '') -> None:
    """Compare weights with those of a model.

    Args:
        state: the weights; those of modules that have their own are added where all of them are missing.
        model: a detector without wrappers.
        name: of the checkpoint, for the error.
        otherwise: what else could be done, for the end of the error.

    Raises:
        InputError: keys are missing or left over, or shapes differ.
    """
    _complete(state, model)
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {
        name.removeprefix('module.'): tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)
    }
    if PUBLISHED_KEY in given:
        raise InputError(
            f'{name} has the key names of the published code; convert it first with '
            'tools/model_converters/published_to_mmdark.py'
        )
    faults = (
        ('lacks', [name for name in wanted if name not in given]),
        ('has besides', [name for name in given if name not in wanted]),
        ('has in another shape', [name for name in wanted if name in given and given[name] != wanted[name]]),
    )
    found = ', '.join(f'it {fault} {len(names)} keys ({names[0]}, ...)' for fault, names in faults if names)
    if found:
        raise InputError(
            f'{name} does not fit {type(model).__name__} as configured: {found} '
            f'of {len(wanted)}; give the config it was trained with{otherwise}'
        )


def _complete(state: dict, model: nn.Module) -> None:
    """Give the checkpoint the weights of those modules that have their own and are missing in it as a whole."""
    for room, module in model.named_modules():
        if getattr(module, 'weights_of_its_own', False) and not any(
            name.removeprefix('module.').startswith(f'{room}.') for name in state
        ):
            state.update({f'{room}.{name}': value for name, value in module.state_dict().items()})
