"""The weights that come with mmdark, and which config belongs to weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdark.apis.export import metadata
from mmdark.config_record import recorded_configs
from mmdark.configs import PUBLISHED_MODELS, own_configs
from mmdark.errors import InputError
from mmdark.models.published_files import PACKAGED, weight_path

SHIPPED = 'dsfd_dark_lite_wider'
"""The config whose trained weights come with mmdark; docs/results.md says how they were made, and what they can do."""


def shipped_weights() -> Path:
    """The weights that come with mmdark.

    Raises:
        InputError: they are missing.
    """
    return weight_path(f'{PACKAGED}{SHIPPED}.pth')


def config_of(weights: Path, checkpoint: Mapping[str, Any]) -> Path:
    """The config that a checkpoint was trained with: the file that training recorded beside it, or one of mmdark's own.

    To read a config is to run it, so who wrote the checkpoint must not choose the file: another one beside it is not
    read, nor is the text of the config within a checkpoint.

    Args:
        weights: where the checkpoint was read from.
        checkpoint: what was read.

    Raises:
        InputError: neither the folder nor the checkpoint tells.
    """
    kind = (checkpoint.get('meta') or {}).get('converted_from')
    name = str(metadata(checkpoint).get('config_name', '')) or Path(PUBLISHED_MODELS.get(kind, '')).stem
    recorded = {stem: path for stem, path in recorded_configs(weights.parent).items() if not stem.endswith('_tta')}
    found = recorded.get(name) or own_configs().get(name)
    if found is None and len(recorded) == 1:
        found = next(iter(recorded.values()))
    if found is None:
        raise InputError(
            f'{weights} does not tell which config it was trained with, or training has not recorded that config in '
            f'this folder as it is now: name it (--model CONFIG.py, model=CONFIG.py, or a name such as {SHIPPED})'
        )
    return found
