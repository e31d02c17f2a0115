"""Find the weights that come with mmdark, and the config of given weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdark.apis.export import metadata
from mmdark.config_record import recorded_configs
from mmdark.configs import PUBLISHED_MODELS, own_configs
from mmdark.errors import InputError
from mmdark.models.published_files import PACKAGED, packaged_weights, weight_path

SHIPPED = 'gfl_dark_mobilenetv2_wider'
"""The default detector; see docs/model_card.md."""


def shipped_weights(config_name: str = SHIPPED) -> Path:
    """Path of the trained weights that come with mmdark for one of its configs.

    Raises:
        InputError: mmdark has no weights for this config.
    """
    return weight_path(f'{PACKAGED}{config_name}.pth')


def comes_with_mmdark(weights: Path) -> bool:
    """Whether this is one of the weight files that come with mmdark."""
    return weights.resolve() in [path.resolve() for path in packaged_weights().values()]


def config_of(weights: Path, checkpoint: Mapping[str, Any]) -> Path:
    """Find the config of a checkpoint: the one that training recorded in its folder, or one of mmdark's configs.

    A config is code, so the author of a checkpoint must not be able to choose it. Therefore other files in the folder
    and the config text in the checkpoint are not read.

    Args:
        weights: path of the checkpoint.
        checkpoint: content of the checkpoint.

    Raises:
        InputError: the config cannot be determined.
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
