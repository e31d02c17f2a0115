"""Where mmdark's own configs and tools lie."""

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
    for folder in _folders('configs'):
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
    found = [path for folder in reversed(_folders('configs')) for path in sorted(folder.rglob('*.py'))]
    return {path.stem: path for path in found if '_base_' not in path.parts}


def tool_path(name: str) -> Path:
    """The path of a tool by its name relative to ``tools/``, in a checkout or in an installed wheel.

    Raises:
        InputError: there is no such tool.
    """
    for folder in _folders('tools'):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f'mmdark has no tool {name} in {" or ".join(map(str, _folders("tools")))}: install mmdark again')


def _folders(kind: str) -> list[Path]:
    """Where ``configs`` or ``tools`` may lie: beside the package, or inside an installed wheel."""
    return [PACKAGE.parent / kind, PACKAGE / '.mim' / kind]
