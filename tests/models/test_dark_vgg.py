"""The dark backbone: shapes, the seam at the stem, widths and published names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn
from torch.nn import functional as F

from mmdark.models import DarkResNet, DarkVGG

MODEL_CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'models'


def expected_sizes(side: int) -> list[int]:
    """Stride 4 to 128 of one side: pooling rounds down, but pool3 rounds up, as does a padded 3x3 of stride 2."""
    s4 = side // 2 // 2
    s8 = -(-s4 // 2)
    s16, s32 = s8 // 2, s8 // 2 // 2
    s64 = -(-s32 // 2)
    return [s4, s8, s16, s32, s64, -(-s64 // 2)]


@pytest.mark.parametrize('size', [(128, 160), (33, 47), (127, 65)])
def test_shapes(size: tuple[int, int]) -> None:
    backbone = DarkVGG(widen_factor=0.125)
    with torch.no_grad():
        images = torch.rand(2, 3, *size)
        maps, shallow = backbone(images), backbone.stem(images)
    assert tuple(shallow.shape) == (2, backbone.shallow_channels, size[0] // 2, size[1] // 2)
    wanted = zip(backbone.out_channels, *map(expected_sizes, size), strict=True)
    assert [tuple(map_.shape[1:]) for map_ in maps] == list(wanted)


def test_the_stem_alone_can_be_wider() -> None:
    plain, wide = DarkVGG(widen_factor=0.125), DarkVGG(widen_factor=0.125, stem_channels=24)
    shapes, wider = ({name: tuple(p.shape) for name, p in net.named_parameters()} for net in (plain, wide))
    changed = {name: shape for name, shape in wider.items() if shape != shapes[name]}
    assert wide.shallow_channels == 24 and wide.out_channels == plain.out_channels
    assert changed == {
        'stages.0.0.conv.weight': (24, 3, 3, 3),
        'stages.0.0.conv.bias': (24,),
        'stages.0.1.conv.weight': (24, 24, 3, 3),
        'stages.0.1.conv.bias': (24,),
        'stages.1.0.conv.weight': (16, 24, 3, 3),
    }
    images = torch.rand(1, 3, 32, 48)
    assert wide.stem(images).shape == (1, 24, 16, 24)
    assert [m.shape for m in wide(images)] == [m.shape for m in plain(images)]


@pytest.mark.parametrize('size', [(1, 1), (27, 40), (5, 64), (28, 28)])
def test_tiny_images_leave_something_at_every_level(size: tuple[int, int]) -> None:
    backbone = DarkVGG(widen_factor=0.125)
    with torch.no_grad():
        images = torch.rand(1, 3, *size)
        maps, shallow = backbone(images), backbone.stem(images)
        assert tuple(shallow.shape[2:]) == tuple(max(1, side // 2) for side in size)
        # As if the shallow features went on with zeros to the 14 pixels that the poolings need.
        roomy = torch.zeros(1, 8, *(max(14, side) for side in shallow.shape[2:]))
        roomy[:, :, : shallow.shape[2], : shallow.shape[3]] = shallow
        for map_, wanted, *sides in zip(
            maps, backbone.forward_stages(roomy), *(expected_sizes(max(28, side)) for side in size), strict=True
        ):
            assert list(map_.shape[2:]) == sides and min(sides) >= 1
            assert torch.equal(map_, wanted)


def test_strides_at_the_published_size() -> None:
    assert expected_sizes(640) == [640 // stride for stride in (4, 8, 16, 32, 64, 128)] == [160, 80, 40, 20, 10, 5]
    with torch.device('meta'):
        maps = DarkVGG()(torch.rand(1, 3, 640, 640))
    assert [map_.shape[1] for map_ in maps] == [256, 512, 512, 1024, 512, 256]
    assert [map_.shape[-1] for map_ in maps] == [160, 80, 40, 20, 10, 5]


def test_forward_is_stem_and_stages() -> None:
    backbone = DarkVGG(widen_factor=0.125).eval()
    images = torch.rand(1, 3, 33, 47)
    with torch.no_grad():
        for whole, parts in zip(backbone(images), backbone.forward_stages(backbone.stem(images)), strict=True):
            assert torch.equal(whole, parts)


def test_is_vgg() -> None:
    """Against a plain chain of functions over the backbone's weights."""
    backbone = DarkVGG(widen_factor=0.125)
    weights = backbone.state_dict()
    by_published = {old: weights[new] for old, new in backbone.published_names().items()}

    def conv(x: torch.Tensor, place: int, **kwargs: int) -> torch.Tensor:
        return F.conv2d(x, by_published[f'{place}.weight'], by_published[f'{place}.bias'], **kwargs).relu()

    images = torch.rand(1, 3, 61, 150)  # wide enough for the dilation to be seen
    x, maps = images, []
    for stage, places in enumerate(((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))):
        for place in places:
            x = conv(x, place, padding=1)
        maps.append(x)
        x = F.max_pool2d(x, 2, ceil_mode=stage == 2)
    maps.append(conv(conv(x, 31, padding=3, dilation=3), 33))
    for index in range(2):
        narrow, wide = (
            [weights[f'extras.{index}.{part}.conv.{kind}'] for kind in ('weight', 'bias')] for part in (0, 1)
        )
        maps.append(F.conv2d(F.conv2d(maps[-1], *narrow).relu(), *wide, stride=2, padding=1).relu())
    with torch.no_grad():
        for ours, plain in zip(backbone(images), maps[2:], strict=True):
            assert torch.allclose(ours, plain, atol=1e-6) and plain.std() > 0


@pytest.mark.parametrize(
    ('factor', 'channels'), [(0.25, (64, 128, 128, 256, 128, 64)), (0.125, (32, 64, 64, 128, 64, 32))]
)
def test_widen_factor(factor: float, channels: tuple[int, ...]) -> None:
    with torch.device('meta'):
        backbone = DarkVGG(widen_factor=factor)
    assert backbone.out_channels == channels
    assert backbone.shallow_channels == 64 * factor
    assert all(width % 8 == 0 for width in DarkVGG(widen_factor=0.07).out_channels)


def test_norm_cfg() -> None:
    plain = DarkVGG(widen_factor=0.125)
    normed = DarkVGG(widen_factor=0.125, norm_cfg=dict(type='BN'))
    count = {kind: sum(isinstance(m, kind) for m in normed.modules()) for kind in (nn.Conv2d, nn.BatchNorm2d)}
    assert count == {nn.Conv2d: 19, nn.BatchNorm2d: 19}
    assert not any(isinstance(module, nn.BatchNorm2d) for module in plain.modules())
    assert all(conv.bias is not None for conv in plain.modules() if isinstance(conv, nn.Conv2d))


def test_published_names_cover_the_fifteen_convolutions() -> None:
    backbone = DarkVGG(widen_factor=0.125)
    names, own = backbone.published_names(), backbone.state_dict()
    assert len(names) == 30 and set(names.values()) == {name for name in own if not name.startswith('extras.')}
    # The reducedfc file: indices of torchvision's VGG-16 up to conv5_3, then conv6 and conv7 behind pool5.
    torchvision_indices = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    assert sorted({int(name.split('.')[0]) for name in names}) == [*torchvision_indices, 31, 33]
    ordered = sorted(names, key=lambda name: (int(name.split('.')[0]), name.endswith('bias')))
    assert [names[name] for name in ordered] == [name for name in own if name in names.values()]


@pytest.mark.parametrize(
    ('make', 'tolerance'), [(DarkVGG, 0.1), (partial(DarkResNet, 50), 1.0)], ids=['DarkVGG', 'DarkResNet']
)
def test_gradients_in_bfloat16_of_maps_one_pixel_wide(make: Callable[..., nn.Module], tolerance: float) -> None:
    """oneDNN leaves memory as it finds it there; several times, because it may find zeros. A ReLU may flip."""
    torch.manual_seed(0)
    backbone = make(widen_factor=0.125)
    convolutions = [extra[1].conv for extra in backbone.extras]
    for seed in range(4):
        torch.manual_seed(seed)
        images, gradients = torch.rand(2, 3, 96, 32), []
        for half in (False, True):
            backbone.zero_grad()
            with torch.autocast('cpu', torch.bfloat16, enabled=half):
                maps = backbone(images)
            sum(each.float().sum() for each in maps[-2:]).backward()
            gradients.append([conv.weight.grad.clone() for conv in convolutions])
        for exact, mixed in zip(*gradients, strict=True):
            assert (mixed - exact).norm() < tolerance * exact.norm()


def test_parameters_of_the_dark_model() -> None:
    with torch.device('meta'):
        model = MODELS.build(Config.fromfile(MODEL_CONFIGS / 'dai_net_vgg16.py').model)
    count = sum(p.numel() for name, p in model.named_parameters() if not name.startswith('enhancer.'))
    assert round(count / 1e6, 2) == 49.83
    assert sum(p.numel() for p in model.enhancer.parameters()) == 207748  # the published decomposition net
