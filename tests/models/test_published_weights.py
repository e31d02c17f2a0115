"""Weights in published key names: they land where they belong, or one line says why not and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import Tensor

from mmdark.adaptation import RetinexNet
from mmdark.errors import InputError
from mmdark.models import DarkResNet, DarkVGG
from mmdark.models.published_weights import PublishedWeights

CHANNELS = 8


def published_retinex(prefix: str = '') -> dict[str, Tensor]:
    """A decomposition net as its authors' code names it, each entry another number."""
    shapes = {'net1_conv0': (CHANNELS, 4, 9, 9), 'net1_recon': (4, CHANNELS, 3, 3)}
    shapes |= {f'net1_convs.{place}': (CHANNELS, CHANNELS, 3, 3) for place in (0, 2, 4, 6, 8)}
    weights = {f'{prefix}{name}.weight': shape for name, shape in shapes.items()}
    weights |= {f'{prefix}{name}.bias': shape[:1] for name, shape in shapes.items()}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in weights.items()}


def initialiser(path: Path) -> PublishedWeights:
    return WEIGHT_INITIALIZERS.build(
        dict(type='PublishedWeights', checkpoint=str(path), source='the shelf', without='--without-a-teacher')
    )


def refusal(path: Path, module: torch.nn.Module) -> str:
    """The error line; it must be one, and name the file, its source and the way without it."""
    with pytest.raises(InputError) as raised:
        initialiser(path)(module)
    line = str(raised.value)
    assert '\n' not in line
    assert type(module).__name__ in line and str(path) in line
    assert 'the shelf' in line and '--without-a-teacher' in line
    return line


@pytest.mark.parametrize('prefix', ['', 'module.', 'DecomNet.', 'module.DecomNet.'])
@pytest.mark.parametrize('wrapper', [None, 'weight', 'state_dict', 'model'])
def test_values_land(tmp_path: Path, prefix: str, wrapper: str | None) -> None:
    published = published_retinex(prefix)
    published[f'{prefix}net2.weight'] = torch.zeros(3)  # what the module does not ask for is left alone
    path = tmp_path / 'decomp.pth'
    torch.save({wrapper: published, 'epoch': 3} if wrapper else published, path)
    net = RetinexNet(CHANNELS)
    initialiser(path)(net)
    wanted = {f'{prefix}net1_conv0': net.entry, f'{prefix}net1_recon': net.exit}
    wanted |= {f'{prefix}net1_convs.{2 * index}': net.hidden[index] for index in range(5)}
    for name, conv in wanted.items():
        assert torch.equal(conv.weight, published[f'{name}.weight'])
        assert torch.equal(conv.bias, published[f'{name}.bias'])


def test_backbone_of_a_whole_detector(tmp_path: Path) -> None:
    backbone = DarkVGG(widen_factor=0.125)
    shapes = {old: backbone.state_dict()[new].shape for old, new in backbone.published_names().items()}
    published = {f'vgg.{old}': torch.randn(shape) for old, shape in shapes.items()}
    torch.save({**published, 'loc_pal1.0.weight': torch.zeros(4)}, tmp_path / 'dsfd.pth')
    extras = {name: value.clone() for name, value in backbone.extras.state_dict().items()}
    initialiser(tmp_path / 'dsfd.pth')(backbone)
    assert torch.equal(backbone.stages[0][0].conv.weight, published['vgg.0.weight'])
    assert torch.equal(backbone.stages[2][1].conv.bias, published['vgg.12.bias'])
    assert torch.equal(backbone.fc[1].conv.weight, published['vgg.33.weight'])
    assert all(torch.equal(value, extras[name]) for name, value in backbone.extras.state_dict().items())


def test_init_weights_loads_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / 'decomp.pth'
    torch.save(published_retinex(), path)
    given = dict(type='PublishedWeights', checkpoint=str(path), source='s', without='w')
    net = RetinexNet(CHANNELS, init_cfg=given)
    assert not torch.equal(net.exit.bias, published_retinex()['net1_recon.bias'])
    records = {}
    net._dump_init_info = lambda: records.update({p: dict(info) for p, info in net._params_init_info.items()})
    net.init_weights()
    assert torch.equal(net.exit.bias, published_retinex()['net1_recon.bias'])
    assert all('PublishedWeights' in records[parameter]['init_info'] for parameter in net.parameters())


@pytest.mark.parametrize('name', ['mmdark://', 'mmdark://other.pth', 'mmdark://../models/retinexnet_wider.pth'])
def test_what_does_not_come_with_mmdark(name: str) -> None:
    with pytest.raises(InputError, match='does not come with mmdark: name mmdark:') as raised:
        initialiser(name)(RetinexNet(CHANNELS))
    assert str(raised.value).startswith(name) and 'the shelf' in str(raised.value)


def test_missing_file(tmp_path: Path) -> None:
    assert 'does not exist' in refusal(tmp_path / 'decomp.pth', RetinexNet(CHANNELS))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert 'does not exist' in refusal(tmp_path, RetinexNet(CHANNELS))


@pytest.mark.parametrize(
    ('content', 'lacks', 'seems'),
    [
        ({'l.weight': torch.zeros(2)}, 'net1_conv0.weight', "nothing known here (its keys begin with ['l.weight'])"),
        (dict.fromkeys(DarkVGG(0.125).published_names(), torch.zeros(2)), 'net1_conv0.weight', 'vgg16_reducedfc.pth'),
        ({**published_retinex(), 'net1_recon.bias': 3.0}, 'net1_recon.bias', "RetinexNet's decomposition net"),
        ({}, 'net1_conv0.weight', 'nothing known here'),
    ],
    ids=['unknown', 'another net', 'one is no tensor', 'empty'],
)
def test_wrong_file_is_named_as_what_it_seems_to_be(tmp_path: Path, content: dict, lacks: str, seems: str) -> None:
    torch.save(content, tmp_path / 'decomp.pth')
    line = refusal(tmp_path / 'decomp.pth', RetinexNet(CHANNELS))
    assert f"lacks '{lacks}'" in line and f'seems to be {seems}' in line


@pytest.mark.parametrize('counters', [True, False], ids=['with counters', 'older, without'])
def test_torchvision_resnet(tmp_path: Path, counters: bool) -> None:
    backbone = DarkResNet(50, widen_factor=0.125)
    published = {name: torch.rand_like(value.float()) for name, value in backbone.state_dict().items()}
    published = {name: value for name, value in published.items() if not name.startswith('extras')}
    if not counters:
        published = {name: value for name, value in published.items() if not name.endswith('num_batches_tracked')}
    torch.save({**published, 'fc.weight': torch.zeros(3, 2), 'fc.bias': torch.zeros(3)}, tmp_path / 'resnet50.pth')
    extras = {name: value.clone() for name, value in backbone.extras.state_dict().items()}
    initialiser(tmp_path / 'resnet50.pth')(backbone)
    ours = backbone.state_dict()
    assert all(torch.equal(ours[name].float(), value) for name, value in published.items() if 'tracked' not in name)
    assert len(published) == len(ours) - len(extras) - (0 if counters else 53)
    assert all(torch.equal(value, extras[name]) for name, value in backbone.extras.state_dict().items())
    line = refusal(tmp_path / 'resnet50.pth', DarkResNet(101, widen_factor=0.125))
    assert "lacks 'layer3.6.conv1.weight' and seems to be torchvision's ResNet-50" in line


def test_wrong_shape(tmp_path: Path) -> None:
    torch.save(published_retinex(), tmp_path / 'decomp.pth')
    line = refusal(tmp_path / 'decomp.pth', RetinexNet(CHANNELS + 1))
    assert "'net1_conv0.weight' has shape (8, 4, 9, 9)" in line and '(9, 4, 9, 9)' in line


@pytest.mark.parametrize(
    ('content', 'seems'),
    [
        (b'<html>not found</html>', 'a web page'),
        (b'\n  <!DOCTYPE html><title>Quota exceeded</title>', 'a web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:0', 'a pointer of Git LFS'),
        (b'\x1f\x8b\x08\x00', 'a gzip archive'),
        (b'\xef\xbb\xbf<?xml version="1.0"?><html>', 'a web page'),
        (b'{"weight": [1, 2]}', 'a text'),
        (b'decomp.pth'.ljust(257, b'\x00') + b'ustar', 'a tar archive'),
        (b'PK\x03\x04 is not always a zip', r'is damaged \(File is not a zip file\)'),
    ],
)
def test_not_a_checkpoint(tmp_path: Path, content: bytes, seems: str) -> None:
    path = tmp_path / 'decomp.pth'
    path.write_bytes(content)
    with pytest.raises(InputError, match=seems) as raised:
        initialiser(path)(RetinexNet(CHANNELS))
    line = str(raised.value)
    assert str(path) in line and 'the shelf' in line and '\n' not in line


@pytest.mark.parametrize('module', [RetinexNet(CHANNELS), DarkVGG(0.125)], ids=['RetinexNet', 'DarkVGG'])
def test_converted_files_are_as_good(tmp_path: Path, module: torch.nn.Module) -> None:
    own = set(module.published_names().values())
    state = {name: torch.rand_like(value) for name, value in module.state_dict().items() if name in own}
    torch.save({'state_dict': state, 'meta': {}}, tmp_path / 'ours.pth')
    initialiser(tmp_path / 'ours.pth')(module)
    assert len(state) > 10 and all(torch.equal(module.state_dict()[name], value) for name, value in state.items())
