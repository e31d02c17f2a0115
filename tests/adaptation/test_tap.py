"""The tap: what it gives, what the detector sees behind it, and what it refuses."""

from __future__ import annotations

import re

import pytest
import torch
from mmdet.models.backbones import ResNet
from torch import Tensor, nn
from torch.nn import functional as F

from mmdark.adaptation import Tap
from mmdark.errors import InputError
from mmdark.models import DarkResNet, DarkVGG


class Detector(nn.Module):
    """Nothing but a backbone."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone


def resnet(**options: object) -> ResNet:
    torch.manual_seed(0)
    net = ResNet(18, base_channels=8, **{'frozen_stages': -1, **options})
    net.eval()  # which forgets to return it
    return net


def images_of(count: int) -> Tensor:
    return torch.rand(count, 3, 32, 48, generator=torch.Generator().manual_seed(1))


LAYERS = {
    'backbone.relu': lambda net, x: F.relu(net.bn1(net.conv1(x))),
    'backbone.maxpool': lambda net, x: net.maxpool(F.relu(net.bn1(net.conv1(x)))),
    'backbone.layer1.0': lambda net, x: net.layer1[0](net.maxpool(F.relu(net.bn1(net.conv1(x))))),
}


@pytest.mark.parametrize('name', LAYERS)
def test_features_are_those_of_the_layer(name: str) -> None:
    net, batch = resnet(), images_of(4)
    tap, wanted = Tap(Detector(net), name), LAYERS[name](net, batch)
    assert torch.equal(tap(batch), wanted)
    with tap.split() as halves:
        maps = net(batch)
    assert torch.equal(torch.cat(halves), wanted)
    for seen, alone in zip(maps, net(batch[2:]), strict=True):  # behind the tap there is the dark half only
        torch.testing.assert_close(seen, alone)
    assert len(net(batch)[0]) == 4 and not any(module._forward_hooks for module in net.modules())


def test_the_rest_of_the_backbone_is_not_run() -> None:
    net = resnet()
    net.layer1.register_forward_pre_hook(lambda *_: pytest.fail('the layers behind the tap were run'))
    assert Tap(Detector(net), 'backbone.maxpool')(images_of(1)).shape == (1, 8, 8, 12)


@pytest.mark.parametrize('make', [lambda: DarkVGG(widen_factor=0.125), lambda: DarkResNet(18, widen_factor=0.125)])
def test_a_backbone_of_two_methods_needs_no_hook(make: object) -> None:
    torch.manual_seed(0)
    net, batch = make().eval(), images_of(4)
    tap = Tap(Detector(net), 'backbone.stem')
    assert tap.staged and torch.equal(tap(batch), net.stem(batch))
    with tap.split() as halves:
        maps = net(batch)
    assert torch.equal(torch.cat(halves), net.stem(batch)) and 'forward' not in vars(net)
    for seen, alone in zip(maps, net(batch[2:]), strict=True):
        torch.testing.assert_close(seen, alone)


def test_an_error_leaves_the_detector_as_it_was() -> None:
    for net, name in ((DarkVGG(widen_factor=0.125), 'backbone.stem'), (resnet(), 'backbone.maxpool')):
        tap = Tap(Detector(net), name)
        with pytest.raises(RuntimeError, match='stop'), tap.split():
            raise RuntimeError('stop')
        assert 'forward' not in vars(net) and len(net(images_of(2))[0]) == 2


@pytest.mark.parametrize(
    ('net', 'name', 'said'),
    [
        (resnet(), 'backbone.maxpol', r'with ResNet has no such layer; near ones: .*backbone\.maxpool'),
        (resnet(), 'neck.convs', r'no such layer; near ones: backbone\.\w+'),
        (resnet(), 'backbone', 'no such layer'),
        (resnet(), 'backbone.stem', 'no such layer'),
        (DarkVGG(widen_factor=0.125), 'backbone.stam', r'near ones: backbone\.stem'),
        (resnet(frozen_stages=1), 'backbone.maxpool', r'frozen.*model\.detector\.backbone\.frozen_stages=-1'),
        (resnet(frozen_stages=1), 'backbone.layer1', 'frozen'),
    ],
)
def test_what_cannot_be_tapped_is_refused(net: nn.Module, name: str, said: str) -> None:
    with pytest.raises(InputError, match=rf'^tap={re.escape(repr(name))}: .*{said}') as caught:
        Tap(Detector(net), name)
    assert '\n' not in str(caught.value)


def test_a_later_layer_of_a_frozen_stem_can_be_tapped() -> None:
    Tap(Detector(resnet(frozen_stages=1)), 'backbone.layer2')


def test_a_frozen_method_shows_in_the_first_step() -> None:
    net = DarkResNet(18, widen_factor=0.125, frozen_stages=1).train()
    with (
        pytest.raises(InputError, match=r"^tap='backbone\.stem': all weights .* frozen"),
        Tap(Detector(net), 'backbone.stem').split(),
    ):
        net(images_of(2))


def test_a_detector_without_backbone_is_refused() -> None:
    with pytest.raises(InputError, match=r'^Linear has no backbone to tap'):
        Tap(nn.Linear(2, 2), 'backbone.stem')


def test_a_layer_that_is_not_run_or_gives_no_maps_is_refused() -> None:
    net = resnet()
    net.spare = nn.Conv2d(3, 3, 1)
    tap = Tap(Detector(net), 'backbone.spare')
    with pytest.raises(InputError, match='does not run this layer'), tap.split():
        net(images_of(2))
    with pytest.raises(InputError, match='ResNet does not run this layer'):
        tap(images_of(2))
    net.maxpool = nn.Flatten()
    with (
        pytest.raises(InputError, match=r"tap='backbone\.maxpool' gives \(2, \d+\), no maps"),
        Tap(Detector(net), 'backbone.maxpool').split(),
    ):
        net(images_of(2))


def test_a_layer_behind_the_tap_that_works_in_place_is_named() -> None:
    """A ResNet's ReLU would change the features that light and dark are compared by."""
    net = resnet()
    net.train()
    tap = Tap(Detector(net), 'backbone.bn1')
    with pytest.raises(InputError, match=r"^tap='backbone\.bn1': .* in place"), tap.split():
        net(images_of(2))
