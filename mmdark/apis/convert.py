"""Convert weights of the published code to mmdark's names and back; all keys and shapes must match."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

from mmdark.configs import PUBLISHED_MODELS, config_path
from mmdark.datasets import WiderDataset
from mmdark.errors import InputError
from mmdark.models.published_files import WeightFile, read_weight_file
from mmdark.models.published_names import CLASS_LAYERS, detector_names
from mmdark.whole_file import replaced_whole

PARTS = {
    'retinexnet': dict(type='RetinexNet'),
    'vgg16_reducedfc': dict(type='DarkVGG'),
    'torchvision_resnet50': dict(type='DarkResNet', depth=50),
    'torchvision_resnet101': dict(type='DarkResNet', depth=101),
    'torchvision_resnet152': dict(type='DarkResNet', depth=152),
}
"""Kind of a published file with a part of a detector → config of that part here."""
CLASSIFIER = ('fc.weight', 'fc.bias')
"""Weights of the classifier of torchvision's ResNets, which detectors do not have."""


class KeyTable(NamedTuple):
    """Published key → key here, and key here → shape."""

    names: dict[str, str]
    shapes: dict[str, torch.Size]


def key_table(kind: str) -> KeyTable:
    """The table of a published model; ``kind`` is a key of :data:`PUBLISHED_MODELS` or :data:`PARTS`."""
    is_detector = kind in PUBLISHED_MODELS
    cfg = Config.fromfile(config_path(PUBLISHED_MODELS[kind])).model if is_detector else PARTS[kind]
    with DefaultScope.overwrite_default_scope('mmdet'), torch.device('meta'):
        module = MODELS.build(cfg)
    names = detector_names(module) if is_detector else module.published_names()
    weights = module.state_dict()
    return KeyTable(names, {new: weights[new].shape for new in names.values()})


def to_mmdark(file: WeightFile) -> dict[str, Tensor]:
    """The weights of a published file with mmdark's names and the background last in class layers.

    Raises:
        InputError: the file is not a published one, or is incomplete.
    """
    if file.kind not in PUBLISHED_MODELS and file.kind not in PARTS:
        reverse = '; to go back to the published names add --reverse' if file.kind.startswith('mmdark_') else ''
        raise InputError(f'it is no published weight file, it seems to be {file.description}{reverse}')
    table = key_table(file.kind)
    given = {name: value for name, value in file.weights.items() if name not in CLASSIFIER}
    optional = {name for name in table.names if name.endswith('.num_batches_tracked')} if file.kind in PARTS else set()
    _check(given, {old: table.shapes[new] for old, new in table.names.items()}, optional, file.description)
    return {new: _classes_swapped(old, given[old]) for old, new in table.names.items() if old in given}


def to_published(file: WeightFile) -> tuple[str, dict[str, Tensor]]:
    """The kind of mmdark's weights and the weights with published names, without the teacher.

    Raises:
        InputError: the file contains no weights of mmdark, or the model was never published.
    """
    kind = file.kind.removeprefix('mmdark_')
    if kind == file.kind and kind.startswith('torchvision_resnet'):  # mmdark uses torchvision's names for these
        file = file._replace(kind=f'mmdark_{kind}')
    if (kind not in PUBLISHED_MODELS and kind not in PARTS) or not file.kind.startswith('mmdark_'):
        raise InputError(f'it cannot be given published names, it seems to be {file.description}')
    table = key_table(kind)
    given = {name: value for name, value in file.weights.items() if not name.startswith('enhancer.')}
    _check(given, table.shapes, set(), file.description)
    room = 'DecomNet.' if kind == 'retinexnet' else ''
    return kind, {room + old: _classes_swapped(old, given[new]) for old, new in table.names.items()}


def _classes_swapped(published_name: str, value: Tensor) -> Tensor:
    return value.flip(0) if published_name.startswith(CLASS_LAYERS) else value


def _check(given: Mapping[str, Tensor], wanted: Mapping[str, torch.Size], optional: set[str], seems: str) -> None:
    lacks = [name for name in wanted if name not in given and name not in optional]
    besides = [name for name in given if name not in wanted]
    shapes = [
        f'{name}, {tuple(given[name].shape)} instead of {tuple(shape)}'
        for name, shape in wanted.items()
        if name in given and given[name].shape != shape
    ]
    faults = (('lacks', lacks), ('has besides', besides), ('has in another shape', shapes))
    found = '; '.join(f'{fault} {len(names)} keys ({names[0]} ...)' for fault, names in faults if names)
    if found:
        raise InputError(f'it seems to be {seems}, but it {found}, of {len(wanted)}: nothing was written')


def convert_file(
    source: str | os.PathLike,
    target: str | os.PathLike,
    reverse: bool = False,
    model: str | None = None,
    epoch: int | None = None,
) -> str:
    """Convert a published weight file, recognised by its keys, and return a line that describes it.

    Args:
        source: a published file; with ``reverse`` a checkpoint of mmdark.
        target: the file to write.
        reverse: convert from mmdark's names to the published ones.
        model: reject published models other than this.
        epoch: with ``reverse``, wrap the weights as ``{'epoch': epoch, 'weight': ...}``, from which the published
            training script resumes; its test script takes them unwrapped.

    Raises:
        InputError: the source cannot be used, or the target cannot be written.
    """
    target = Path(target).expanduser().resolve()
    if Path(source).expanduser().resolve() == target:
        raise InputError(f'{target} is the source itself; name another file for the result')
    if target.exists() and not target.is_file():
        raise InputError(f'{target} is no file that can be written; name one for the result')
    if epoch is not None and not reverse:
        raise InputError('an epoch is wrapped around published names only; add --reverse, or leave it out')
    file = read_weight_file(source)
    try:
        kind, weights = to_published(file) if reverse else (file.kind, to_mmdark(file))
        if model not in (None, kind):
            raise InputError(f'it is not {model}, it seems to be {file.description}')
    except InputError as error:
        raise InputError(f'{source}: {error}') from error
    content = weights if reverse else _checkpoint(kind, weights)
    _write(content if epoch is None else {'epoch': epoch, 'weight': weights}, target)
    fits = f'; its config is configs/{PUBLISHED_MODELS[kind]}' if kind in PUBLISHED_MODELS and not reverse else ''
    return f'{source} is {file.description}: {len(weights)} tensors written to {target}{fits}'


def _checkpoint(kind: str, weights: dict[str, Tensor]) -> dict:
    meta: dict[str, Any] = dict(converted_from=kind)
    if kind in PUBLISHED_MODELS:
        meta['dataset_meta'] = dict(WiderDataset.METAINFO)
    return dict(meta=meta, state_dict=weights)


def _write(content: dict, target: Path) -> None:
    try:
        with replaced_whole(target) as part, part.open('wb') as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch's writer raises the latter on a full disk
        raise InputError(f'{target} cannot be written: {str(error).splitlines()[0]}') from error
