"""Export the weights of a checkpoint without optimizer and log, optionally in float16."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmdark.adaptation.dai_net import OWN_WEIGHTS
from mmdark.compat import plain, read_checkpoint
from mmdark.compat.checkpoints import SAFETENSORS, safetensors_torch
from mmdark.engine.hooks.strict_checkpoint import check_finite
from mmdark.errors import InputError
from mmdark.whole_file import write_verified, writing

START_TIME = re.compile(r'_\d{8}_\d{6}$')
"""End of an experiment name, which mmengine appends to the name of the config."""


def export_weights(
    checkpoint: str | os.PathLike,
    target: str | os.PathLike,
    half: bool = False,
    detector: bool = False,
) -> str:
    """Write the weights of a checkpoint and their metadata, and return a line that describes the file.

    Args:
        checkpoint: a Runner checkpoint or a file of weights.
        target: the file to write, ``*.safetensors`` or ``*.pth``.
        half: store floating point weights as float16.
        detector: write only the detector of DAI-Net, to be loaded strictly with the detector's own config in
            MMDetection without mmdark.

    Raises:
        InputError: the checkpoint holds no weights, a weight does not fit into float16, or a file cannot be used.
    """
    target = Path(target)
    if target.suffix not in (SAFETENSORS, '.pth'):
        raise InputError(f'{target}: name it *{SAFETENSORS} or *.pth')
    if target.exists() and Path(checkpoint).exists() and target.samefile(checkpoint):
        raise InputError(f'{target} is the checkpoint itself, from which no training could go on then: name another')
    content = read_checkpoint(checkpoint, 'cpu')
    state = content.get('state_dict', content)
    if detector:
        others = [name for name in state if name.removeprefix('module.').startswith(OWN_WEIGHTS)]
        state = {name: value for name, value in state.items() if name not in others}
    weights = _weights(state, str(checkpoint), half)
    meta = metadata(content)
    if target.suffix == SAFETENSORS:
        written = safetensors_torch().save(weights, {name: str(value) for name, value in meta.items()})
    else:
        buffer = io.BytesIO()
        classes = (content.get('meta') or {}).get('dataset_meta')  # where mmdet looks for them
        known_classes = {'dataset_meta': plain(classes, [])} if classes else {}
        torch.save({'meta': {**meta, **known_classes}, 'state_dict': weights}, buffer)
        written = buffer.getvalue()
    with writing(target):
        write_verified(target, written)
    known = ', '.join(f'{name} {value}' for name, value in meta.items())
    return f'{target}: {len(weights)} tensors, {len(written) / 2**20:.1f} MiB ({known or "nothing else is known"})'


def metadata(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of the weights: ``config_name``, ``epoch``, ``iter``, classes, and the score if known.

    The score is known if these are the best weights so far: mmengine stores the name of the best file, which contains
    its iteration or epoch.
    """
    meta = checkpoint.get('meta') or {}
    if 'config_name' in meta:  # the file was written by export_weights
        return plain(meta, [])
    found = {name: meta[name] for name in ('epoch', 'iter') if name in meta}
    if meta.get('experiment_name'):
        found = {'config_name': START_TIME.sub('', meta['experiment_name']), **found}
    classes = (meta.get('dataset_meta') or {}).get('classes')
    if classes:
        found['classes'] = classes if isinstance(classes, str) else ' '.join(classes)
    infos = checkpoint.get('message_hub', {}).get('runtime_info') or {}
    for name, path in infos.items():
        is_best = 'best_ckpt' in str(name) and isinstance(path, str)
        best = re.fullmatch(r'best_(.+)_(iter|epoch)_(\d{1,18})', Path(path).stem) if is_best else None
        score = infos.get(str(name).replace('ckpt', 'score'))
        if best and score is not None and int(best[3]) == meta.get(best[2]):
            found[best[1]] = score
    return plain(found, [])


def _weights(state: Mapping[str, Any], source: str, half: bool) -> dict[str, Tensor]:
    """Copies of the tensors, by the names of a model without wrappers."""
    weights = {
        name.removeprefix('module.'): value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
        if isinstance(value, Tensor)
    }
    if not weights:
        raise InputError(f'checkpoint {source} holds no weights')
    check_finite(weights, f'checkpoint {source}')
    if not half:
        return weights
    halved = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    lost = [name for name, value in weights.items() if value.is_floating_point() and _overflows(value, halved[name])]
    if lost:
        raise InputError(f'checkpoint {source}: {lost[0]} holds numbers beyond float16; leave out --half')
    return halved


def _overflows(value: Tensor, half: Tensor) -> bool:
    return bool((half.isinf() & ~value.isinf()).any())
