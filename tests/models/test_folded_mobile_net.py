"""MobileNetV2 with its batch norm folded is the network that torchvision's weights are for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmdet.models.backbones import MobileNetV2
from torch import Tensor

from mmdark.errors import InputError
from mmdark.models import FoldedMobileNetV2

OUTPUTS = (2, 4, 6)


def published(seed: int = 0) -> tuple[dict[str, Tensor], MobileNetV2]:
    """Random weights with torchvision's names in torchvision's order, and mmdet's network that has them."""
    torch.manual_seed(seed)
    reference = MobileNetV2(widen_factor=0.25, out_indices=(*OUTPUTS, 7))
    reference.eval()
    for name, value in reference.state_dict().items():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5) if name.endswith('running_var') else value.normal_(std=0.5)
    names = []
    for index in range(19):
        if index in (0, 18):
            steps = [(f'features.{index}.0', f'features.{index}.1')]
        else:
            count = 1 if index == 1 else 2  # the first block does not expand
            steps = [(f'features.{index}.conv.{step}.0', f'features.{index}.conv.{step}.1') for step in range(count)]
            steps.append((f'features.{index}.conv.{count}', f'features.{index}.conv.{count + 1}'))
        for conv, norm in steps:
            ends = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')
            names += [f'{conv}.weight', *(f'{norm}.{end}' for end in ends)]
    values = reference.state_dict().values()
    return dict(zip(names, values, strict=True)), reference


def from_file(path: Path, outputs: tuple[int, ...] = OUTPUTS) -> FoldedMobileNetV2:
    start = dict(type='PublishedWeights', checkpoint=str(path), source='the shelf', without='--without')
    backbone = FoldedMobileNetV2(
        widen_factor=0.25, out_indices=outputs, init_cfg=[dict(type='Kaiming', layer='Conv2d'), start]
    )
    backbone.init_weights()
    return backbone


@pytest.mark.parametrize('outputs', [OUTPUTS, (*OUTPUTS, 7)])
def test_features_are_those_with_batch_norm(tmp_path: Path, outputs: tuple[int, ...]) -> None:
    weights, reference = published()
    torch.save({**weights, 'classifier.1.bias': torch.zeros(3)}, tmp_path / 'weights.pth')
    backbone = from_file(tmp_path / 'weights.pth', outputs)
    images = torch.randn(2, 3, 64, 96)
    found = backbone(images)
    assert len(found) == len(outputs)
    for ours, theirs in zip(found, reference(images), strict=False):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_nothing_behind_the_last_output_is_built() -> None:
    assert not any(name.startswith('conv2') for name, _ in FoldedMobileNetV2(out_indices=OUTPUTS).named_parameters())
    assert FoldedMobileNetV2(out_indices=(2,)).layers == ['layer1', 'layer2', 'layer3']


def test_own_names_land_as_they_are(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = FoldedMobileNetV2(widen_factor=0.25, out_indices=OUTPUTS)
    torch.save(source.state_dict(), tmp_path / 'own.pth')
    state = from_file(tmp_path / 'own.pth').state_dict()
    assert all(torch.equal(value, state[name]) for name, value in source.state_dict().items())


def test_other_weights_are_refused_in_one_line(tmp_path: Path) -> None:
    weights, _ = published()
    del weights['features.3.conv.1.1.running_var']
    torch.save(weights, tmp_path / 'less.pth')
    with pytest.raises(InputError, match=r'less\.pth does not hold .* of FoldedMobileNetV2: it lacks .*the shelf'):
        from_file(tmp_path / 'less.pth')
    with pytest.raises(InputError, match=r'none\.pth, which does not exist: get it from the shelf'):
        from_file(tmp_path / 'none.pth')
