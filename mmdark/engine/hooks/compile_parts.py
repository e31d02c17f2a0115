"""``torch.compile`` for the parts of a detector that work on tensors only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from packaging.version import Version
from torch import nn

from mmdark.errors import InputError

from ..trained_model import detector_of

TORCH = Version('2.4')
"""Up to 2.3.1, torch breaks the parts into dozens of programs, and its compiler fails on the decoder."""
PARTS = ('backbone.stem', 'backbone.forward_stages', 'neck', 'reflectance_decoder', 'enhancer')
"""Of DSFD and DAI-Net; parts of the detector in DAI-Net by their names in the detector."""


@HOOKS.register_module()
class CompileParts(Hook):
    """Compile each part by itself; names and weights in checkpoints do not change.

    mmengine's ``compile=`` takes the whole step, whose matching and data samples break it into dozens of graphs.
    Passes without gradients (validation, pictures) get images of any size and are not compiled.

    Args:
        parts: modules, or methods of modules, by their names in the model or in its detector; by default those of
            :data:`PARTS` that exist.
        **options: of ``torch.compile``; ``dynamic=False`` by default: one graph per batch size. Training has two, or
            one with ``train_dataloader.drop_last=True``.
    """

    def __init__(self, parts: Sequence[str] | None = None, **options: object) -> None:
        if Version(torch.__version__) < TORCH:
            raise InputError(f'CompileParts needs torch {TORCH} or newer, not {torch.__version__}: remove this hook')
        self.parts = parts
        self.options = {'dynamic': False, **options}
        self._compiled: list[tuple[nn.Module, str]] = []

    def before_train(self, runner: Runner) -> None:
        """Replace the methods of the parts.

        Raises:
            InputError: the model has no such part.
        """
        model = detector_of(runner)
        inner = getattr(model, 'detector', model)
        parts = {name: _part(model, name) or _part(inner, name) for name in self.parts or PARTS}
        absent = [name for name, part in parts.items() if part is None]
        if absent and (self.parts or len(absent) == len(parts)):
            raise InputError(
                f'CompileParts: {type(model).__name__} has no {", ".join(absent)}; name in parts what it has'
            )
        for name, part in parts.items():
            if part is not None:
                setattr(*part, _compiled(getattr(*part), self.options))
                self._compiled.append(part)
                runner.logger.info(f'{name} is compiled in the first iteration, which takes minutes')

    def after_train(self, runner: Runner) -> None:
        """Restore the methods."""
        while self._compiled:
            delattr(*self._compiled.pop())


def _part(model: nn.Module, name: str) -> tuple[nn.Module, str] | None:
    """Module and method: (backbone, ``'stem'``) for ``'backbone.stem'``, (neck, ``'forward'``) for ``'neck'``."""
    owner_name, _, last = name.rpartition('.')
    try:
        owner = model.get_submodule(owner_name)
    except AttributeError:
        return None
    part = getattr(owner, last, None)
    if isinstance(part, nn.Module):
        return part, 'forward'
    return (owner, last) if callable(part) else None


def _compiled(method: Callable, options: dict[str, object]) -> Callable:
    fast = torch.compile(method, **options)

    @wraps(method)
    def call(*args: object, **kwargs: object) -> object:
        return (fast if torch.is_grad_enabled() else method)(*args, **kwargs)

    return call
