"""Where mmdark's own configs lie."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]

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
    for folder in (PACKAGE.parent / 'configs', PACKAGE / '.mim' / 'configs'):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f'mmdark has no config {name}')
