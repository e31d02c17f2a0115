"""Read weight files of the published code and identify them by their keys."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.runner import CheckpointLoader
from torch import Tensor

from mmdark.compat import read_checkpoint
from mmdark.compat.checkpoints import MapLocation
from mmdark.errors import InputError

PACKAGED = 'mmdark://'
"""Prefix for weight files in the package: ``mmdark://retinexnet_wider.pth``."""
WRAPPERS = ('state_dict', 'weight', 'model')
RESNET_BLOCKS = {(3, 4, 6, 3): 50, (3, 4, 23, 3): 101, (3, 8, 36, 3): 152}
"""Blocks per stage → depth, of ResNets with bottlenecks."""


class WeightFile(NamedTuple):
    """The weights in a file.

    Attributes:
        kind: a key of :data:`DESCRIPTIONS`, followed by the depth of a ResNet (``resnet50``).
        description: description for error messages.
        weights: name → tensor, without the prefix ``module.``.
    """

    kind: str
    description: str
    weights: dict[str, Tensor]


DESCRIPTIONS = {
    'dark': 'a detector of the published DAI-Net code (dark)',
    'vgg': 'a detector of the published DSFD code (VGG-16)',
    'resnet': 'a detector of the published DSFD code (ResNet{depth})',
    'retinexnet': "RetinexNet's decomposition net, the published teacher",
    'vgg16_reducedfc': 'vgg16_reducedfc.pth, where VGG-16 backbones start',
    'torchvision_resnet': "torchvision's ResNet{depth}, where ResNet backbones start",
    'torchvision_vgg': "torchvision's VGG, which lacks the reduced fc layers: vgg16_reducedfc.pth is wanted instead",
    'mmdark_dark': 'a DAI-Net detector of mmdark',
    'mmdark_vgg': 'a DSFD detector of mmdark with VGG-16',
    'mmdark_resnet': 'a DSFD detector of mmdark with ResNet{depth}',
    'mmdark_dark_resnet': 'a DAI-Net detector of mmdark with ResNet{depth}, which the published code does not have',
    'mmdark_retinexnet': "mmdark's RetinexNet",
    'mmdark_vgg16_reducedfc': "mmdark's VGG-16 backbone",
    'mmdet': 'a checkpoint of MMDetection with another detector',
    'unknown': 'nothing known here (its keys begin with {keys})',
}

PARTS = {'retinexnet': 'DecomNet.', 'mmdark_retinexnet': 'net.'}
"""Prefix of a teacher's keys in a published detector, and in a checkpoint of ``RetinexTraining``."""

# Kind, keys that identify it (the most specific first), and the prefix of a ResNet's keys.
SIGNS = (
    ('dark', ('vgg.0.weight', 'loc_pal1.0.weight', 'ref.0.weight'), None),
    ('vgg', ('vgg.0.weight', 'loc_pal1.0.weight'), None),
    ('resnet', ('resnet.conv1.weight', 'loc_pal1.0.weight'), 'resnet.'),
    ('retinexnet', ('net1_conv0.weight',), None),
    ('retinexnet', ('DecomNet.net1_conv0.weight',), None),
    ('mmdark_dark_resnet', ('bbox_head.first_shot.reg_convs.0.0.weight', 'backbone.conv1.weight',
                            'reflectance_decoder.hidden.weight'), 'backbone.'),
    ('mmdark_resnet', ('bbox_head.first_shot.reg_convs.0.0.weight', 'backbone.conv1.weight'), 'backbone.'),
    ('mmdark_dark', ('bbox_head.first_shot.reg_convs.0.0.weight', 'reflectance_decoder.hidden.weight'), None),
    ('mmdark_vgg', ('bbox_head.first_shot.reg_convs.0.0.weight', 'backbone.stages.0.0.conv.weight'), None),
    ('mmdark_retinexnet', ('entry.weight', 'hidden.0.weight'), None),
    ('mmdark_retinexnet', ('net.entry.weight', 'net.hidden.0.weight'), None),
    ('mmdark_vgg16_reducedfc', ('stages.0.0.conv.weight', 'fc.0.conv.weight'), None),
    ('torchvision_vgg', ('features.0.weight', 'classifier.0.weight'), None),
    ('torchvision_resnet', ('conv1.weight', 'layer1.0.conv1.weight'), ''),
    ('vgg16_reducedfc', ('0.weight', '2.weight', '31.weight', '33.weight'), None),
)  # fmt: skip


def weight_path(name: str | os.PathLike) -> Path:
    """Path of a weight file, from a path or ``mmdark://NAME``.

    Raises:
        InputError: the package has no file of this name.
    """
    if not str(name).startswith(PACKAGED):
        return Path(name).expanduser()
    packaged = packaged_weights()
    if str(name).removeprefix(PACKAGED) not in packaged:
        raise InputError(
            f'{name} does not come with mmdark: name {", ".join(PACKAGED + file for file in packaged) or "a file"}, or '
            f'install mmdark again if files are missing in {Path(__file__).parent}'
        )
    return packaged[str(name).removeprefix(PACKAGED)]


@CheckpointLoader.register_scheme(prefixes=PACKAGED)
def load_from_package(filename: str, map_location: MapLocation = None) -> dict[str, Any]:
    """Load ``mmdark://NAME`` wherever MMEngine takes a checkpoint: ``load_from``, ``Pretrained``, ``mmdark test``."""
    return read_checkpoint(weight_path(filename), map_location)


def packaged_weights() -> dict[str, Path]:
    """Name → path of the weight files in the package."""
    return {path.name: path for path in sorted(Path(__file__).parent.glob('*.pth'))}


def read_weight_file(path: str | os.PathLike) -> WeightFile:
    """Read and identify a file without running code from it; ``path`` is as for :func:`weight_path`.

    Raises:
        InputError: the file is missing, damaged, or not a file of weights.
    """
    return identify(unwrap(read_checkpoint(weight_path(path), map_location='cpu')))


def unwrap(checkpoint: Mapping) -> dict[str, Tensor]:
    """The tensors of a checkpoint, bare or under one of :data:`WRAPPERS`, without the prefix ``module.``."""
    for wrapper in WRAPPERS:
        if isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
            break
    return {str(name).removeprefix('module.'): value for name, value in checkpoint.items() if isinstance(value, Tensor)}


def identify(weights: dict[str, Tensor]) -> WeightFile:
    """Identify the kind of weights by their names."""
    mmdet = 'mmdet' if any(name.startswith('backbone.') for name in weights) else 'unknown'
    kind, resnet = next(
        ((kind, r) for kind, signs, r in SIGNS if all(sign in weights for sign in signs)), (mmdet, None)
    )
    depth = '' if resnet is None else _resnet_depth(weights, resnet)
    shown = f'-{depth}' if isinstance(depth, int) else depth
    description = DESCRIPTIONS[kind].format(depth=shown, keys=list(weights)[:2])
    if kind in PARTS:
        weights = {name.removeprefix(PARTS[kind]): value for name, value in weights.items()}
    return WeightFile(f'{kind}{depth}', description, weights)


def _resnet_depth(weights: Mapping[str, Tensor], prefix: str) -> int | str:
    matches = [re.match(re.escape(prefix) + r'layer(\d)\.(\d+)\.', name) for name in weights]
    stages = Counter(stage for stage, _ in {match.groups() for match in matches if match})
    blocks = tuple(stages[stage] for stage in '1234')
    bottleneck = f'{prefix}layer1.0.conv3.weight' in weights
    return RESNET_BLOCKS.get(blocks, f' of {blocks} blocks') if bottleneck else f' of {blocks} basic blocks'
