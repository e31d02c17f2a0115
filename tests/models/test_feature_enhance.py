"""The feature enhance module against a plain chain of functions over its weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mmdark.models import FEM
from mmdark.models.feature_enhance import L2Norm

CHANNELS = (8, 10, 12, 16, 9, 8)


def maps_of(height: int = 33, width: int = 20) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    sizes = ((max(1, height >> level), max(1, width >> level)) for level in range(len(CHANNELS)))
    return tuple(torch.rand(2, c, *size, generator=generator) for c, size in zip(CHANNELS, sizes, strict=True))


def explicit(fem: FEM, originals: tuple[Tensor, ...]) -> tuple[list[Tensor], list[Tensor]]:
    """Reference: originals and enhanced maps by the text of section 3.2."""
    weights = fem.state_dict()

    def conv(x: Tensor, place: str, reach: int = 0) -> Tensor:
        return F.conv2d(
            x, weights[f'{place}.conv.weight'], weights[f'{place}.conv.bias'], padding=reach, dilation=max(1, reach)
        )

    x = conv(originals[5], 'topdown.0').relu()
    path = {5: x}
    for step, level in enumerate((4, 3, 2, 1, 0), start=1):
        down = conv(x, f'topdown.{step}').relu()
        down = F.interpolate(down, originals[level].shape[2:], mode='bilinear', align_corners=False)
        path[level] = x = (down * conv(originals[level], f'laterals.{step - 1}')).relu()
    enhanced = []
    for level in range(6):
        parts = []
        for branch in range(3):
            y = path[level]
            for depth in range(branch + 1):
                y = conv(y.relu() if depth else y, f'enhance.{level}.branches.{branch}.{depth}', 3)
            parts.append(y)
        enhanced.append(torch.cat(parts, 1).relu())

    def normalise(maps: tuple[Tensor, ...] | list[Tensor], name: str) -> list[Tensor]:
        unit = [x / (x.square().sum(1, keepdim=True) + 1e-10).sqrt() for x in maps[:3]]
        scales = [weights[f'{name}.{level}.weight'].view(1, -1, 1, 1) for level in range(3)]
        return [*(x * scale for x, scale in zip(unit, scales, strict=True)), *maps[3:]]

    return normalise(originals, 'l2norm_original'), normalise(enhanced, 'l2norm_enhanced')


@pytest.mark.parametrize('size', [(64, 32), (33, 20)])
def test_forward(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    fem, originals = FEM(CHANNELS), maps_of(*size)
    for module in fem.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_uniform_(module.weight)
    for norm in (*fem.l2norm_original, *fem.l2norm_enhanced):
        torch.nn.init.uniform_(norm.weight, 2, 9)
    with torch.no_grad():
        for ours, wanted in zip(fem(originals), explicit(fem, originals), strict=True):
            assert len(ours) == len(wanted) == 6
            for mine, reference, original in zip(ours, wanted, originals, strict=True):
                assert mine.shape == original.shape and reference.std() > 1e-3
                assert torch.allclose(mine, reference, rtol=1e-4, atol=1e-5)


def test_scales_begin_as_published() -> None:
    fem = FEM(CHANNELS)
    for norms in (fem.l2norm_original, fem.l2norm_enhanced):
        assert [norm.weight.unique().tolist() for norm in norms] == [[10.0], [8.0], [5.0]]
        assert all(norm.weight.requires_grad for norm in norms)  # never trained in the published code
    fem.init_weights()
    assert fem.l2norm_original[0].weight.unique().tolist() == [10.0]


def test_scales_can_be_left_out() -> None:
    fem, originals = FEM(CHANNELS, l2norm_scales=()), maps_of()
    with torch.no_grad():
        assert all(map(torch.equal, fem(originals)[0], originals))


def test_published_values_above_a_thousandth() -> None:
    x = torch.rand(1, 8, 5, 7, generator=torch.Generator().manual_seed(0))
    x = 1e-3 * x / x.norm(dim=1, keepdim=True)  # the published module divides by norm + 1e-10
    with torch.no_grad():
        assert torch.allclose(L2Norm(8, 5.0)(x), 5 * x / (x.norm(dim=1, keepdim=True) + 1e-10), rtol=1e-4)
        assert not L2Norm(8, 5.0)(torch.zeros(1, 8, 2, 2)).any()


def test_normalised_length_is_the_scale() -> None:
    with torch.no_grad():
        normalised = FEM(CHANNELS)(maps_of())[0]
    for map_, scale in zip(normalised, (10, 8, 5), strict=False):
        assert torch.allclose(map_.norm(dim=1), torch.full(map_.norm(dim=1).shape, float(scale)), rtol=1e-4)


def test_gradient_of_dead_places_is_finite() -> None:
    originals = [x.clone().requires_grad_() for x in maps_of()]
    with torch.no_grad():
        originals[0][:, :, :4] = 0
    shots = FEM(CHANNELS)(tuple(originals))
    sum(map_.sum() for shot in shots for map_ in shot).backward()
    assert all(torch.isfinite(x.grad).all() for x in originals)


def test_norm_cfg() -> None:
    fem = FEM(CHANNELS, norm_cfg=dict(type='BN'))
    counts = [sum(isinstance(m, kind) for m in fem.modules()) for kind in (torch.nn.Conv2d, torch.nn.BatchNorm2d)]
    assert counts == [6 + 5 + 36, 6 + 5 + 36]
    assert all(torch.isfinite(map_).all() for shot in fem(maps_of(64, 64)) for map_ in shot)
