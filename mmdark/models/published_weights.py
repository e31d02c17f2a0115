"""Initialisation from weight files in their published key names."""

from __future__ import annotations

from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from mmdark.errors import InputError

from .published_files import read_weight_file, weight_path

PREFIXES = ('', 'vgg.', 'resnet.')
COUNTERS = '.num_batches_tracked'
"""Files from before torch 0.4.1 do not have these counters of batch norm, which nothing here reads."""


@WEIGHT_INITIALIZERS.register_module()
class PublishedWeights:
    """Load a module's weights from a file in its published key names, strictly; see :func:`load_published`.

    Args:
        checkpoint: of :func:`load_published`.
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
        try:
            load_published(module, self.checkpoint)
        except InputError as error:
            raise InputError(f'{error}: get it from {self.source}, or train without it: {self.without}') from error
        if hasattr(module, '_params_init_info'):  # what mmengine logs about each parameter
            update_init_info(module, init_info=f'{type(self).__name__}: {self.checkpoint}')


def load_published(module: nn.Module, checkpoint: str) -> None:
    """Fill a module from a weight file, strictly.

    The module names the keys: its ``published_names()`` maps each published key to its own. Files in its own names do,
    too. A module that has ``translate_published(weights)`` first changes the weights by it. Keys of the file that the
    module does not ask for are left alone (``vgg16_reducedfc.pth`` holds nothing else, whole detectors do).

    Args:
        module: what to fill.
        checkpoint: path of the file, or ``mmdark://NAME`` for one that comes with mmdark; a bare state dict or one
            wrapped as ``{'weight': ...}``.

    Raises:
        InputError: the file is missing, or is not what the module expects.
    """
    if not weight_path(checkpoint).is_file():
        raise InputError(f'{type(module).__name__} starts from {checkpoint}, which does not exist')
    file = read_weight_file(checkpoint)
    published, names = file.weights, module.published_names()
    if hasattr(module, 'translate_published'):
        published = module.translate_published(published)
    if all(new in published for new in names.values()):
        names = {new: new for new in names.values()}
    needed = [name for name in names if not name.endswith(COUNTERS)]
    prefix = next((p for p in PREFIXES if all(p + name in published for name in needed)), None)
    if prefix is None:
        missing = next(name for name in needed if name not in published)
        raise InputError(
            f'{checkpoint} does not hold the published weights of {type(module).__name__}: it lacks '
            f"'{missing}' and seems to be {file.description}"
        )
    own = module.state_dict()
    for old, new in names.items():
        value = published.get(prefix + old, own[new])
        if own[new].shape != value.shape:
            raise InputError(
                f"{checkpoint}: '{prefix + old}' has shape {tuple(value.shape)}, but {type(module).__name__} "
                f'as configured needs {tuple(own[new].shape)}; published weights fit only the published widths'
            )
        own[new].copy_(value)
