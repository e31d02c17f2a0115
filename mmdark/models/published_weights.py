"""Initialisation from weight files in their published key names."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner import CheckpointLoader
from torch import nn

from mmdark.errors import InputError

WRAPPERS = ('state_dict', 'weight', 'model')
PREFIXES = ('', 'module.', 'vgg.', 'DecomNet.', 'module.vgg.', 'module.DecomNet.')


@WEIGHT_INITIALIZERS.register_module()
class PublishedWeights:
    """Load a module's weights from a file in its published key names, strictly.

    The module names them: its ``published_names()`` maps each published key to its own. Keys of the file that the
    module does not ask for are left alone (``vgg16_reducedfc.pth`` holds nothing else, whole detectors do).

    Args:
        checkpoint: path of the file; a bare state dict or one wrapped as ``{'weight': ...}``.
        source: where a user gets the file, for the error line.
        without: which option trains without it, for the error line.
    """

    def __init__(self, checkpoint: str, source: str, without: str) -> None:
        self.checkpoint = checkpoint
        self.source = source
        self.without = without

    def __call__(self, module: nn.Module) -> None:
        """Fill ``module``.

        Raises:
            InputError: the file is missing, or is not what the module expects.
        """
        if not os.path.isfile(self.checkpoint):
            raise InputError(
                f'{type(module).__name__} starts from {self.checkpoint}, which does not exist: {self._remedy()}'
            )
        published = _unwrap(CheckpointLoader.load_checkpoint(self.checkpoint, map_location='cpu'))
        names = module.published_names()
        tensors = {key for key, value in published.items() if isinstance(value, torch.Tensor)}
        prefix = next((p for p in PREFIXES if all(p + name in tensors for name in names)), None)
        if prefix is None:
            missing = next(name for name in names if name not in tensors)
            raise InputError(
                f'{self.checkpoint} does not hold the published weights of {type(module).__name__}: it lacks '
                f"'{missing}' and begins with {list(published)[:2]}: {self._remedy()}"
            )
        own = module.state_dict()
        for old, new in names.items():
            value = published[prefix + old]
            if own[new].shape != value.shape:
                raise InputError(
                    f"{self.checkpoint}: '{prefix + old}' has shape {tuple(value.shape)}, but {type(module).__name__} "
                    f'as configured needs {tuple(own[new].shape)}; published weights fit only the published widths: '
                    f'{self._remedy()}'
                )
            own[new].copy_(value)
        if hasattr(module, '_params_init_info'):  # what mmengine logs about each parameter
            update_init_info(module, init_info=f'{type(self).__name__}: {self.checkpoint}')

    def _remedy(self) -> str:
        return f'get it from {self.source}, or train without it: {self.without}'


def _unwrap(checkpoint: Mapping) -> Mapping[str, torch.Tensor]:
    """The state dict inside a checkpoint."""
    for wrapper in WRAPPERS:
        if isinstance(checkpoint.get(wrapper), Mapping):
            return checkpoint[wrapper]
    return checkpoint
