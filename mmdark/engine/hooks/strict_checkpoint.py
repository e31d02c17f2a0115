"""Reject checkpoints that do not fit the model; mmengine only logs the keys that it does not load."""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from torch import Tensor, nn

from mmdark.engine.resumable import check_resumable
from mmdark.errors import InputError
from mmdark.protocols import OwnWeights

from ..trained_model import detector_of

PUBLISHED_KEY = 'loc_pal1.0.weight'
"""A key of every detector of the published DSFD and DAI-Net code."""
PARAMETERS = ('.weight', '.bias')
"""Suffixes of parameter names; other names may be buffers."""


@HOOKS.register_module()
class StrictCheckpoint(Hook):
    """Check that the names and shapes in a loaded checkpoint match the model.

    All weights of a module with ``weights_of_its_own`` may be missing, since they come from another file.

    Args:
        strict: if False, load only the weights that fit, as mmengine does, to fine-tune from another model.
    """

    priority = 'VERY_HIGH'

    def __init__(self, strict: bool = True) -> None:
        self.strict = strict

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check a checkpoint before it is loaded into the model.

        Raises:
            InputError: keys are missing or unexpected, shapes differ, a weight is not finite, or training cannot
                resume from it.
        """
        name = getattr(runner, '_load_from', None) or 'the checkpoint'
        state = checkpoint.get('state_dict', checkpoint)
        if getattr(runner, '_resume', False):
            if 'optimizer' not in checkpoint:
                raise InputError(
                    f'{name} holds weights but no training to go on with; start from it with --cfg-options '
                    f'load_from={name}'
                )
            check_resumable(checkpoint, name)
        check_finite(state, name)
        if self.strict:
            partly = ', or load what fits with --cfg-options default_hooks.strict_checkpoint.strict=False'
            check_fits(state, detector_of(runner), name, partly)


@HOOKS.register_module()
class LeaveOutWeights(Hook):
    """Remove keys from a loaded checkpoint before ``StrictCheckpoint`` sees it.

    Used to fine-tune a model that lacks a part of the checkpoint's model; all its own weights must still be present.

    Args:
        prefixes: prefixes of the keys to remove, such as ``reflectance_decoder.``.
        start_anew: key prefixes of layers that predict other classes (``bbox_head.convs_pred.``). When training, these
            layers keep their initial weights if their shape in the checkpoint differs.
    """

    priority = 'HIGHEST'

    def __init__(self, prefixes: Sequence[str], start_anew: Sequence[str] = ()) -> None:
        self.prefixes, self.start_anew = tuple(prefixes), tuple(start_anew)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Modify ``checkpoint`` in place before it is loaded into the model."""
        weights = checkpoint.get('state_dict', checkpoint)
        initial = detector_of(runner).state_dict() if isinstance(runner._train_loop, BaseLoop) else {}
        for key in [*weights]:
            name = key.removeprefix('module.')
            if name.startswith(self.prefixes):
                del weights[key]
            elif name.startswith(self.start_anew) and name in initial and initial[name].shape != weights[key].shape:
                weights[key] = initial[name]


def check_finite(state: dict[str, Tensor], name: str) -> None:
    """Check weights for NaN and infinity; buffers, such as masks, may be infinite but not NaN.

    Raises:
        InputError: a weight is not finite; the message calls the checkpoint ``name``.
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
    value = value.float() if value.element_size() == 1 else value  # float8 has no isnan
    return bool((value.isfinite() if key.endswith(PARAMETERS) else ~value.isnan()).all())


def check_fits(state: dict[str, Tensor], model: nn.Module, name: str, otherwise: str = '') -> None:
    """Check that the names and shapes of weights match a model without wrappers.

    The weights of an :class:`OwnWeights` module are added to ``state`` if all of them are missing.

    Args:
        state: the weights.
        model: a detector.
        name: name of the checkpoint, for the error message.
        otherwise: another remedy, appended to the error message.

    Raises:
        InputError: keys are missing or unexpected, or shapes differ.
    """
    for prefix, module in model.named_modules():
        if isinstance(module, OwnWeights) and module.weights_of_its_own and not _has(state, f'{prefix}.'):
            state.update({f'{prefix}.{key}': value for key, value in module.state_dict().items()})
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    given = {key.removeprefix('module.'): tuple(v.shape) for key, v in state.items() if isinstance(v, Tensor)}
    if PUBLISHED_KEY in given:
        raise InputError(
            f'{name} has the key names of the published code; convert it first with '
            'tools/model_converters/published_to_mmdark.py'
        )
    faults = {
        'lacks': [key for key in wanted if key not in given],
        'has besides': [key for key in given if key not in wanted],
        'has in another shape': [key for key in wanted if key in given and given[key] != wanted[key]],
    }
    listed = ', '.join(f'it {fault} {len(keys)} keys ({keys[0]}, ...)' for fault, keys in faults.items() if keys)
    if listed:
        raise InputError(
            f'{name} does not fit {type(model).__name__} as configured: {listed} of {len(wanted)}; give the config it '
            f'was trained with{otherwise}'
        )


def _has(state: dict, prefix: str) -> bool:
    return any(key.removeprefix('module.').startswith(prefix) for key in state)
