"""Mutual feature alignment against explicit sums of p log(p / q)."""

from __future__ import annotations

import math

import pytest
import torch
from mmdet.registry import MODELS
from torch import Tensor

from mmdark.adaptation.losses import MutualAlignmentLoss, mutual_alignment

from ...half_precision import HALVES
from ..pairs import pair


def explicit(light: Tensor, dark: Tensor, temperature: float) -> Tensor:
    """KL divergences both ways, summed in float64 entry by entry."""

    def distribution(features: Tensor) -> list[Tensor]:
        pooled = [channel.sum() / channel.numel() for channel in features]
        powers = [(value / temperature).exp() for value in pooled]
        return [power / sum(powers) for power in powers]

    total = torch.zeros((), dtype=torch.float64)
    for one, other in zip(light.double(), dark.double(), strict=True):
        p, q = distribution(one), distribution(other)
        total = total + sum(a * (a / b).log() + b * (b / a).log() for a, b in zip(p, q, strict=True))
    return total * temperature**2 / len(light)


def features_of(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(6 * torch.rand(3, 5, 4, 6, generator=generator) for _ in range(2))


@pytest.mark.parametrize('temperature', [4.0, 1.0])
def test_value_and_gradient(temperature: float) -> None:
    light, dark = (x.requires_grad_() for x in features_of())
    ours, theirs = mutual_alignment(light, dark, temperature), explicit(light, dark, temperature)
    value = float(theirs.detach())
    assert float(ours.detach()) == pytest.approx(value, rel=1e-4)
    gradients = (torch.autograd.grad(loss, (light, dark)) for loss in (ours, theirs))
    for mine, reference in zip(*gradients, strict=True):
        assert torch.allclose(mine, reference, rtol=1e-3, atol=1e-7)
    images = pair(dict(shallow=light), dict(shallow=dark))
    module = MutualAlignmentLoss(0.3, temperature)
    assert float(module(images).detach()) == pytest.approx(0.3 * value, rel=1e-4)
    images.recomposed = pair(dict(shallow=light), dict(shallow=light))  # nothing to align
    assert float(module(images).detach()) == pytest.approx(0.3 * value, rel=1e-4)
    images.recomposed = pair(dict(shallow=dark), dict(shallow=light))  # as much again
    assert float(module(images).detach()) == pytest.approx(0.6 * value, rel=1e-4)


def test_two_channels_by_hand() -> None:
    """Logits 0 and 4·ln 3 against equal ones: (3/4, 1/4) and (1/2, 1/2) at temperature 4."""
    light = torch.tensor([4 * math.log(3), 0.0]).view(1, 2, 1, 1)
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5) + 0.5 * math.log(2 / 3) + 0.5 * math.log(2)
    assert float(mutual_alignment(light, torch.zeros_like(light))) == pytest.approx(16 * divergence, rel=1e-5)


def test_zero_where_the_pooled_features_agree() -> None:
    light, _ = features_of()
    assert float(mutual_alignment(light, light)) == pytest.approx(0, abs=1e-6)
    shuffled = light.flatten(2)[..., torch.randperm(24, generator=torch.Generator().manual_seed(0))].view_as(light)
    assert float(mutual_alignment(light, shuffled)) == pytest.approx(0, abs=1e-5)


def test_symmetric_positive_and_a_mean_over_the_batch() -> None:
    light, dark = features_of()
    value = float(mutual_alignment(light, dark))
    assert value > 1e-3
    assert float(mutual_alignment(dark, light)) == pytest.approx(value, rel=1e-5)
    singles = [float(mutual_alignment(light[i : i + 1], dark[i : i + 1])) for i in range(3)]
    assert sum(singles) / 3 == pytest.approx(value, rel=1e-4)


def test_published_weights_are_the_defaults() -> None:
    loss = MODELS.build(dict(type='MutualAlignmentLoss'))
    assert (loss.loss_weight, loss.temperature) == (0.1, 4.0)


@pytest.mark.parametrize('dtype', HALVES)
def test_autocast_keeps_float32(dtype: torch.dtype) -> None:
    light, dark = (x.to(dtype) for x in features_of())
    with torch.autocast('cpu', dtype=dtype):
        mixed = mutual_alignment(light, dark)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, mutual_alignment(light.float(), dark.float()))
