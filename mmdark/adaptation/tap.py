"""The tap: the layer of a detector whose features DAI-Net aligns between light and dark images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from mmdark.errors import InputError

FAST_PATH = 'backbone.stem', 'forward_stages'


class _Reached(Exception):
    """Ends a forward pass after the tapped layer."""


class Tap:
    """Shallow features of a detector: the output of a named layer of its backbone.

    A forward hook reads the output, only during a training step, so at test time the detector is unchanged. A backbone
    with the methods ``stem`` and ``forward_stages``, where ``forward(x)`` is ``forward_stages(stem(x))``, can be tapped
    at ``backbone.stem`` without a hook, which allows compiling both parts.

    Args:
        detector: a detector with a ``backbone``.
        name: name of the layer in the detector, such as ``backbone.maxpool``.

    Raises:
        InputError: there is no backbone or no such layer, or all weights up to it are frozen.
    """

    def __init__(self, detector: nn.Module, name: str) -> None:
        backbone = getattr(detector, 'backbone', None)
        if not isinstance(backbone, nn.Module):
            raise InputError(f'{type(detector).__name__} has no backbone to tap: DAI-Net needs a detector that has one')
        self.backbone = backbone
        self.name = name
        self.staged = name == FAST_PATH[0] and callable(getattr(backbone, FAST_PATH[1], None))
        self._detector_name = type(detector).__name__
        self._check_exists()
        self._check_learns()

    @contextmanager
    def split(self) -> Iterator[list[Tensor]]:
        """Context in which the detector takes a batch ``[light; dark]`` but the layers after the tap get only ``dark``.

        Yields:
            A list; after the forward pass it holds the shallow features of the light and of the dark images.

        Raises:
            InputError: the layer did not run, is frozen, or does not return maps ``(B, C, H, W)``.
        """
        halves: list[Tensor] = []

        def divide(features: Tensor) -> Tensor:
            if halves:  # the layer runs again, after the tap
                return features
            self._check(features)
            halves.extend(features.chunk(2))
            return halves[1]

        with self._watched(divide):
            try:
                yield halves
            except RuntimeError as error:
                if 'modified inplace' not in str(error):
                    raise
                raise InputError(
                    f'tap={self.name!r}: the layer behind it changes its features in place: tap that layer instead'
                ) from error
        if not halves:
            raise InputError(
                f'tap={self.name!r}: the loss of {self._detector_name} does not run this layer: tap another'
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Run the backbone on images ``(B, 3, H, W)`` up to the tap and return its features ``(B, C, h, w)``."""
        if self.staged:
            return self.backbone.stem(images)
        reached: list[Tensor] = []

        def leave(features: Tensor) -> None:
            reached.append(features)
            raise _Reached

        with self._watched(leave):
            try:
                self.backbone(images)
            except _Reached:
                return reached[0]
        raise InputError(f'tap={self.name!r}: {type(self.backbone).__name__} does not run this layer: tap another')

    @contextmanager
    def _watched(self, see: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
        """Context in which ``see`` is called with the features; a return value other than None replaces them."""
        if not self.staged:
            layer = self.backbone.get_submodule(self.name.partition('.')[2])
            handle = layer.register_forward_hook(lambda _, __, features: see(features))
            try:
                yield
            finally:
                handle.remove()
            return
        backbone, own = self.backbone, vars(self.backbone).get('forward')
        backbone.forward = lambda images: backbone.forward_stages(see(backbone.stem(images)))
        try:
            yield
        finally:
            del backbone.forward
            if own is not None:
                backbone.forward = own

    def _check_exists(self) -> None:
        layers = [f'backbone.{name}' for name, _ in self.backbone.named_modules() if name]
        if not self.staged and self.name not in layers:
            staged = [FAST_PATH[0]] if callable(getattr(self.backbone, FAST_PATH[1], None)) else []
            tops = [name for name in layers if name.count('.') == 1]
            near = get_close_matches(self.name, [*staged, *layers], n=4, cutoff=0.5) or [*staged, *tops][:6]
            raise InputError(
                f'tap={self.name!r}: {self._detector_name} with {type(self.backbone).__name__} has no such layer; '
                f'near ones: {", ".join(near)}'
            )

    def _check_learns(self) -> None:
        """Reject a layer if its weights and those of all modules registered before it are frozen."""
        if self.staged:
            return  # it is unknown which weights the method uses; _check tests the features in the first step
        modules, layer = list(self.backbone.modules()), self.backbone.get_submodule(self.name.partition('.')[2])
        until = modules.index(list(layer.modules())[-1])
        before = [parameter for module in modules[: until + 1] for parameter in module.parameters(recurse=False)]
        if before and not any(parameter.requires_grad for parameter in before):
            raise InputError(_frozen(self.name, self.backbone))

    def _check(self, features: Tensor) -> None:
        if not isinstance(features, Tensor) or features.dim() != 4:
            kind = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise InputError(f'tap={self.name!r} gives {kind}, no maps of shape (B, C, H, W): tap another layer')
        if torch.is_grad_enabled() and self.backbone.training and not features.requires_grad:
            raise InputError(_frozen(self.name, self.backbone))


def _frozen(name: str, backbone: nn.Module) -> str:
    return (
        f'tap={name!r}: all weights of {type(backbone).__name__} up to it are frozen, so light and dark could not come '
        'nearer: set model.detector.backbone.frozen_stages=-1, or tap a later layer'
    )
