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
"""Minimum version; torch 2.3.1 and older break the parts into dozens of graphs and cannot compile the decoder."""
PARTS = ('backbone.stem', 'backbone.forward_stages', 'neck', 'reflectance_decoder', 'enhancer')
"""Parts of DSFD and DAI-Net; for DAI-Net, the detector's parts have no ``detector.`` prefix."""


@HOOKS.register_module()
class CompileParts(Hook):
    """Compile each part separately; names and weights in checkpoints do not change.

    mmengine's ``compile=`` compiles the whole step; matching and data samples break it into dozens of graphs. Forward
    passes without gradients (validation, pictures) are not compiled, because their image sizes vary.

    Args:
        parts: names of modules or methods, relative to the model or its detector; by default those of :data:`PARTS`
            that exist.
        **options: options of ``torch.compile``; the default ``dynamic=False`` compiles one graph per batch size.
            Training has two batch sizes, or one with ``train_dataloader.drop_last=True``.
    """

    def __init__(self, parts: Sequence[str] | None = None, **options: object) -> None:
        if Version(torch.__version__) < TORCH:
            raise InputError(f'CompileParts needs torch {TORCH} or newer, not {torch.__version__}: remove this hook')
        self.parts = parts
        self.options = {'dynamic': False, **options}
        self._compiled: list[tuple[nn.Module, str]] = []

    def before_train(self, runner: Runner) -> None:
        """Replace the methods of the parts by compiled ones.

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
    """Owner and method name: (backbone, ``'stem'``) for ``'backbone.stem'``, (neck, ``'forward'``) for ``'neck'``."""
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
