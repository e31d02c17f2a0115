"""Find the configs that come with mmdark."""

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
"""Value of ``--model`` in the published training script → config of mmdark."""


def config_path(name: str) -> Path:
    """Path of a config, given its path relative to ``configs/``, in a checkout or an installed wheel.

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
    """Find a config by the path of a file or the name of a config of mmdark, such as ``dsfd_dark_wider``.

    Raises:
        InputError: neither exists; the message suggests configs with similar names.
    """
    if Path(given).exists():
        return Path(given)
    ours = own_configs()
    if given.removesuffix('.py') in ours:
        return ours[given.removesuffix('.py')]
    close = ', '.join(difflib.get_close_matches(Path(given).stem, ours))
    raise InputError(f'config {given} does not exist' + (f'; did you mean {close}?' if close else ''))


def own_configs() -> dict[str, Path]:
    """Paths of the configs that come with mmdark, by name without suffix."""
    found = [path for folder in reversed(_folders()) for path in sorted(folder.rglob('*.py'))]
    return {path.stem: path for path in found if '_base_' not in path.parts}


def _folders() -> list[Path]:
    """Folders that may contain the configs: beside the package, or inside an installed wheel."""
    return [PACKAGE.parent / 'configs', PACKAGE / '.mim' / 'configs']
