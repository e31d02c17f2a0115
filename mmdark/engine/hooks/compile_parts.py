"""Compile the parts of a detector that are nothing but tensors, and leave its lists and dicts to Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmdark.errors import InputError

from .strict_checkpoint import detector_of

PARTS = ('backbone.stem', 'backbone.forward_stages', 'neck', 'reflectance_decoder', 'enhancer')
"""Of DSFD and DAI-Net; those of a detector in DAI-Net go by their names in the detector."""


@HOOKS.register_module()
class CompileParts(Hook):
    """Let ``torch.compile`` make one program of each part; names and weights in checkpoints do not change.

    mmengine's own ``compile=`` takes the whole step, whose matching and data samples break it into dozens of pieces.
    What runs without gradients (validation, pictures) meets images of any size and is not compiled.

    Args:
        parts: modules, or methods of modules, by their names in the model or in the detector within it; None takes
            those of :data:`PARTS` that there are.
        **options: of ``torch.compile``. ``dynamic=False`` unless given: one program a size of batch. Training has two,
            the usual one and the last of an epoch, or one with ``train_dataloader.drop_last=True``.
    """

    def __init__(self, parts: Sequence[str] | None = None, **options: object) -> None:
        self.parts = parts
        self.options = {'dynamic': False, **options}
        self._compiled: list[tuple[nn.Module, str]] = []

    def before_train(self, runner: Runner) -> None:
        """Put the compiled methods before those of the classes.

        Raises:
            InputError: the model has no such part.
        """
        model = detector_of(runner)
        inner = getattr(model, 'detector', model)
        found = {name: _part(model, name) or _part(inner, name) for name in self.parts or PARTS}
        absent = [name for name, part in found.items() if part is None]
        if absent and (self.parts or len(absent) == len(found)):
            raise InputError(
                f'CompileParts: {type(model).__name__} has no {", ".join(absent)}; name in parts what it has'
            )
        for name, part in found.items():
            if part is None:
                continue
            owner, method = part
            setattr(owner, method, _compiled(getattr(owner, method), self.options))
            self._compiled.append(part)
            runner.logger.info(f'{name} is compiled in the first iteration, which takes minutes')

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was."""
        while self._compiled:
            delattr(*self._compiled.pop())


def _part(model: nn.Module, name: str) -> tuple[nn.Module, str] | None:
    """The module and its method: ``stem`` of the backbone for ``'backbone.stem'``, ``forward`` for ``'neck'``."""
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
    """``method``, compiled where gradients are taken."""
    fast = torch.compile(method, **options)

    @wraps(method)
    def call(*args: object, **kwargs: object) -> object:
        return (fast if torch.is_grad_enabled() else method)(*args, **kwargs)

    return call
