"""Where mmdark's own configs lie."""

from __future__ import annotations

import difflib
from pathlib import Path

from mmdark.errors import InputError

PACKAGE = Path(__file__).resolve().parent

PUBLISHED_MODELS = {
    'dark': 'dsfd_dark_wider.py',
    'vgg': 'dsfd/dsfd_vgg16_wider.py',
    'resnet50': 'dsfd/dsfd_resnet50_wider.py',
    'resnet101': 'dsfd/dsfd_resnet101_wider.py',
    'resnet152': 'dsfd/dsfd_resnet152_wider.py',
}
"""The choices of ``--model`` in the published training script → config here."""


def config_path(name: str) -> Path:
    """The path of a config by its name relative to ``configs/``, in a checkout or in an installed wheel.

    Raises:
        FileNotFoundError: there is no such config.

    Example:
        >>> config_path('dsfd_dark_wider.py').name
        'dsfd_dark_wider.py'
    """
    for folder in _folders():
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f'mmdark has no config {name}')


def find_config(given: str) -> Path:
    """The config that a person means: the path of a file, or the name of one of ours, ``dsfd_dark_wider``.

    Raises:
        InputError: there is neither; the line names those that are spelt alike.
    """
    if Path(given).exists():
        return Path(given)
    ours = own_configs()
    if given.removesuffix('.py') in ours:
        return ours[given.removesuffix('.py')]
    close = ', '.join(difflib.get_close_matches(Path(given).stem, ours))
    raise InputError(f'config {given} does not exist' + (f'; did you mean {close}?' if close else ''))


def own_configs() -> dict[str, Path]:
    """The configs that come with mmdark, by their names without suffix."""
    found = [path for folder in reversed(_folders()) for path in sorted(folder.rglob('*.py'))]
    return {path.stem: path for path in found if '_base_' not in path.parts}


def _folders() -> list[Path]:
    """Where the configs may lie: beside the package, or inside an installed wheel."""
    return [PACKAGE.parent / 'configs', PACKAGE / '.mim' / 'configs']
