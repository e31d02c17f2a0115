"""The weights that come with mmdark, and which config belongs to weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdark.apis.export import metadata
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
    """The config that a checkpoint was trained with: the file that training wrote beside it, or one of mmdark's own.

    The text of the config within a checkpoint is never read: to read it is to run it.

    Args:
        weights: where the checkpoint was read from.
        checkpoint: what was read.

    Raises:
        InputError: neither the folder nor the checkpoint tells.
    """
    kind = (checkpoint.get('meta') or {}).get('converted_from')
    name = str(metadata(checkpoint).get('config_name', '')) or Path(PUBLISHED_MODELS.get(kind, '')).stem
    found = _beside(weights, name) or own_configs().get(name)  # no other file: who wrote the checkpoint chose the name
    if found is None:
        raise InputError(
            f'{weights} does not tell which config it was trained with: name it (model=CONFIG.py, or a name such as '
            f'{SHIPPED})'
        )
    return found


def _beside(weights: Path, name: str) -> Path | None:
    """The config in the folder of a checkpoint: of this name, or the only one in a folder that a training wrote."""
    configs = [path for path in sorted(weights.parent.glob('*.py')) if not path.stem.endswith('_tta')]
    named = [path for path in configs if path.stem == name]
    if named or (len(configs) == 1 and (weights.parent / 'last_checkpoint').is_file()):
        return (named or configs)[0]
    return None
