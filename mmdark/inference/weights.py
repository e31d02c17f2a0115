"""Where trained weights are found, and which config belongs to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmdark.apis.configs import PACKAGE, PUBLISHED_MODELS, find_config, own_configs
from mmdark.apis.export import metadata
from mmdark.errors import InputError
from mmdark.models.published_files import PACKAGED, weight_path

SHIPPED = 'dsfd_dark_lite_wider'
"""The config whose trained weights may come with mmdark."""
QUICKSTART = Path('work_dirs') / 'quickstart'


class WeightsFound(NamedTuple):
    """Weights that nobody had to name.

    Attributes:
        path: of the checkpoint.
        config: of its model.
        where: for a person, ``'shipped with mmdark'`` or ``'the quickstart in work_dirs/quickstart'``.
    """

    path: Path
    config: Path
    where: str


def find_weights() -> WeightsFound:
    """Weights to begin with: those that come with mmdark, or the newest that the quickstart trained.

    The quickstart's are looked for in the current folder, then in the checkout that mmdark lies in.

    Raises:
        InputError: there are none; the line says how to get some.
    """
    try:
        return WeightsFound(weight_path(f'{PACKAGED}{SHIPPED}.pth'), find_config(SHIPPED), 'shipped with mmdark')
    except InputError:
        pass  # this mmdark comes without
    for folder in (QUICKSTART, PACKAGE.parent / QUICKSTART):
        checkpoints = sorted(filter(Path.is_file, folder.glob('*.pth')), key=lambda path: path.stat().st_mtime)
        if checkpoints:
            path = checkpoints[-1]
            return WeightsFound(path, _beside(path, '') or find_config('dsfd_dark_lite_demo'), f'quickstart, {folder}')
    raise InputError(
        'there are no weights: train some in 3 to 4 minutes with bash tools/quickstart.sh in a clone of mmdark, or '
        'name trained ones (weights=FILE.pth)'
    )


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
