"""Published key names of DAI-Net and DSFD-VGG next to ours, for tests that rebuild the published weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def published_to_ours(name: str) -> str:
    """``vgg.0.weight`` → ``backbone.stages.0.0.conv.weight`` and so on, for the dark and the VGG model."""
    *place, kind = name.split('.')
    room, index = place[0], int(place[1]) if len(place) > 1 else None
    if room == 'extras':
        return f'backbone.extras.{index // 2}.{index % 2}.conv.{kind}'
    if room in ('fpn_topdown', 'fpn_latlayer'):
        return f'neck.{"topdown" if room == "fpn_topdown" else "laterals"}.{index}.conv.{kind}'
    if room == 'fpn_fem':
        depth = int(place[3]) // 2 if len(place) > 3 else 0
        return f'neck.enhance.{index}.branches.{int(place[2][-1]) - 1}.{depth}.conv.{kind}'
    if room.startswith('L2Norm'):
        return f'neck.l2norm_{"original" if room[6] == "o" else "enhanced"}.{int(room[-1]) - 1}.{kind}'
    if room[:-1] in ('loc_pal', 'conf_pal'):
        convs = 'reg_convs' if room.startswith('loc') else 'cls_convs'
        return f'bbox_head.{"first" if room[-1] == "1" else "second"}_shot.{convs}.{index}.0.{kind}'
    if room == 'ref':
        return f'reflectance_decoder.{"hidden" if index == 0 else "reflectance"}.{kind}'
    raise KeyError(name)


def load_published(model: nn.Module, published: dict[str, Tensor]) -> None:
    """Load a published detector state dict; the class channels change places (background first → last)."""
    backbone = {f'vgg.{old}': f'backbone.{new}' for old, new in model.backbone.published_names().items()}
    ours = {}
    for name, value in published.items():
        swap = name.startswith('conf_pal')
        ours[backbone.get(name) or published_to_ours(name)] = torch.flip(value, [0]) if swap else value
    missing, unexpected = model.load_state_dict(ours, strict=False)
    assert not unexpected
    assert all(key.startswith('enhancer.') for key in missing)
    return ours


def load_published_teacher(teacher: nn.Module, published: dict[str, Tensor]) -> None:
    """Load the published decomposition net (keys begin with ``DecomNet.``)."""
    names = teacher.published_names()
    teacher.load_state_dict({names[old.removeprefix('DecomNet.')]: value for old, value in published.items()})
