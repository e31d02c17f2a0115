"""The ResNet backbones: six maps, the seam at the stem, frozen statistics, published names."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmdark.models import DarkResNet


def tiny(depth: int = 50, **options: object) -> DarkResNet:
    torch.manual_seed(0)
    return DarkResNet(depth, widen_factor=0.125, **options)


@pytest.mark.parametrize('size', [(128, 160), (33, 47), (1, 1), (7, 200)])
def test_shapes(size: tuple[int, int]) -> None:
    backbone = tiny()
    with torch.no_grad():
        images = torch.rand(2, 3, *size)
        maps, shallow = backbone(images), backbone.stem(images)
    sizes = [size]
    for _ in range(7):
        sizes.append(tuple(-(-side // 2) for side in sizes[-1]))  # each halving rounds up
    assert tuple(shallow.shape) == (2, backbone.shallow_channels, *sizes[1])
    wanted = zip(backbone.out_channels, sizes[2:], strict=True)
    assert [tuple(map_.shape[1:]) for map_ in maps] == [(channels, *side) for channels, side in wanted]


@pytest.mark.parametrize(('depth', 'blocks'), [(50, (3, 4, 6, 3)), (101, (3, 4, 23, 3)), (152, (3, 8, 36, 3))])
def test_published_widths_and_depths(depth: int, blocks: tuple[int, ...]) -> None:
    with torch.device('meta'):
        backbone = DarkResNet(depth)
    assert backbone.out_channels == (256, 512, 1024, 2048, 512, 256) and backbone.shallow_channels == 64
    assert tuple(len(getattr(backbone, f'layer{stage}')) for stage in (1, 2, 3, 4)) == blocks
    names = backbone.published_names()
    assert names['layer3.5.bn2.running_var'] == 'layer3.5.bn2.running_var' and 'fc.weight' not in names
    assert not any(name.startswith('extras') for name in names)


def test_forward_is_stem_and_stages() -> None:
    backbone = tiny().eval()
    images = torch.rand(1, 3, 33, 47)
    with torch.no_grad():
        for whole, parts in zip(backbone(images), backbone.forward_stages(backbone.stem(images)), strict=True):
            assert torch.equal(whole, parts)


def test_is_a_resnet() -> None:
    """Against a plain chain of functions over the backbone's weights, with statistics that matter."""
    backbone = tiny()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    backbone.eval()
    weights = backbone.state_dict()

    def normed(x: torch.Tensor, conv: str, norm: str, **kwargs: int) -> torch.Tensor:
        x = F.conv2d(x, weights[f'{conv}.weight'], **kwargs)
        parts = (weights[f'{norm}.{part}'] for part in ('running_mean', 'running_var', 'weight', 'bias'))
        return F.batch_norm(x, *parts)

    images = torch.rand(1, 3, 70, 90)
    x = F.max_pool2d(normed(images, 'conv1', 'bn1', stride=2, padding=3).relu(), 3, stride=2, padding=1)
    maps = []
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            at, stride = f'layer{stage}.{block}', 2 if stage > 1 and block == 0 else 1
            y = normed(x, f'{at}.conv1', f'{at}.bn1').relu()
            y = normed(y, f'{at}.conv2', f'{at}.bn2', stride=stride, padding=1).relu()  # the stride is on the 3x3
            y = normed(y, f'{at}.conv3', f'{at}.bn3')
            x = (y + (normed(x, f'{at}.downsample.0', f'{at}.downsample.1', stride=stride) if block == 0 else x)).relu()
        maps.append(x)
    for pair in range(2):
        narrow, wide = ([weights[f'extras.{pair}.{n}.conv.{kind}'] for kind in ('weight', 'bias')] for n in (0, 1))
        maps.append(F.conv2d(F.conv2d(maps[-1], *narrow).relu(), *wide, stride=2, padding=1).relu())
    with torch.no_grad():
        for ours, plain in zip(backbone(images), maps, strict=True):
            assert torch.allclose(ours, plain, rtol=1e-4, atol=1e-5) and plain.std() > 0


@pytest.mark.parametrize('fixed', [True, False])
def test_statistics_stay_fixed_and_scales_learn(fixed: bool) -> None:
    backbone = tiny(norm_eval=fixed).train()
    before = backbone.bn1.running_mean.clone()
    backbone(torch.rand(2, 3, 64, 64))[-1].square().sum().backward()
    assert torch.equal(backbone.bn1.running_mean, before) == fixed
    assert backbone.bn1.weight.grad.abs().sum() > 0 and backbone.conv1.weight.grad.abs().sum() > 0
