"""Initialisation from weight files with published key names."""

from __future__ import annotations

from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from mmdark.errors import InputError
from mmdark.protocols import TranslatesPublished

from .published_files import read_weight_file, weight_path

PREFIXES = ('', 'vgg.', 'resnet.')
COUNTERS = '.num_batches_tracked'
"""Suffix of batch norm's counters, which files from before torch 0.4.1 lack; they are not used."""


@WEIGHT_INITIALIZERS.register_module()
class PublishedWeights:
    """``init_cfg`` that calls :func:`load_published`.

    Args:
        checkpoint: see :func:`load_published`.
        source: where to get the file, for the error message.
        without: option to train without the file, for the error message.
    """

    def __init__(self, checkpoint: str, source: str, without: str) -> None:
        self.checkpoint = checkpoint
        self.source = source
        self.without = without

    def __call__(self, module: nn.Module) -> None:
        """Fill ``module``.

        Raises:
            InputError: the file is missing or does not fit the module.
        """
        try:
            load_published(module, self.checkpoint)
        except InputError as error:
            raise InputError(f'{error}: get it from {self.source}, or train without it: {self.without}') from error
        if hasattr(module, '_params_init_info'):  # mmengine's log of initialisations
            update_init_info(module, init_info=f'{type(self).__name__}: {self.checkpoint}')


def load_published(module: nn.Module, checkpoint: str) -> None:
    """Fill a module from a weight file, which must contain all its weights.

    The file has the published names (``module.published_names()``) or the module's own. A
    :class:`TranslatesPublished` module first translates the weights. Other keys are ignored, so a backbone can be
    initialised from a whole detector.

    Args:
        module: a module with ``published_names()``.
        checkpoint: path, or ``mmdark://NAME`` for a file of the package.

    Raises:
        InputError: the file is missing or does not fit the module.
    """
    name = type(module).__name__
    if not weight_path(checkpoint).is_file():
        raise InputError(f'{name} starts from {checkpoint}, which does not exist')
    file = read_weight_file(checkpoint)
    published, names = file.weights, module.published_names()
    if isinstance(module, TranslatesPublished):
        published = module.translate_published(published)
    if all(new in published for new in names.values()):
        names = {new: new for new in names.values()}
    needed = [key for key in names if not key.endswith(COUNTERS)]
    prefix = next((prefix for prefix in PREFIXES if all(prefix + key in published for key in needed)), None)
    if prefix is None:
        missing = next(key for key in needed if key not in published)
        raise InputError(
            f"{checkpoint} does not hold the published weights of {name}: it lacks '{missing}' and seems to be "
            f'{file.description}'
        )
    own = module.state_dict()
    for old, new in names.items():
        value = published.get(prefix + old, own[new])
        if own[new].shape != value.shape:
            raise InputError(
                f"{checkpoint}: '{prefix + old}' has shape {tuple(value.shape)}, but {name} as configured needs "
                f'{tuple(own[new].shape)}; published weights fit only the published widths'
            )
        own[new].copy_(value)
