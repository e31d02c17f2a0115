"""Decomposition and consistency of reflectances against NumPy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from torch import Tensor

from mmdark.adaptation.losses import DecompositionLoss, ReflectanceConsistencyLoss, decomposition_loss

from ..pairs import pair, twice
from .test_structural_similarity import pair_of, reference


@pytest.mark.parametrize('data_range', [1.0, None])
def test_decomposition(data_range: float | None) -> None:
    image, target = pair_of(1)
    span = data_range or max(float(x.max() - x.min()) for x in (image, target))
    expected = np.abs(image.numpy() - target.numpy()).mean() + reference(image, target, span)
    assert float(decomposition_loss(image, target, data_range)) == pytest.approx(expected, abs=1e-5)
    module = DecompositionLoss(loss_weight=0.3, data_range=data_range)
    both = twice(reflectance=image, teacher=target)
    assert float(module(both)) == pytest.approx(2 * 0.3 * expected, abs=1e-5)
    one = pair(dict(reflectance=image, teacher=target), dict(reflectance=target, teacher=target))
    assert float(module(one)) == pytest.approx(0.3 * expected, abs=1e-5)


def test_decomposition_is_zero_at_equality_and_symmetric() -> None:
    image, target = pair_of(1)
    assert float(decomposition_loss(image, image)) == pytest.approx(0, abs=1e-6)
    assert float(decomposition_loss(image, target)) == pytest.approx(float(decomposition_loss(target, image)), abs=1e-6)


def test_decomposition_gradient() -> None:
    """The L1 part pulls every pixel to its target with 1/N, beside what SSIM adds."""
    image, target = pair_of(1)
    image.requires_grad_()
    from_both = torch.autograd.grad(decomposition_loss(image, target, 1.0), image)[0]
    from_ssim = torch.autograd.grad(decomposition_loss(image, target, 1.0) - (image - target).abs().mean(), image)[0]
    assert torch.allclose(from_both - from_ssim, (image - target).sign() / image.numel(), atol=1e-7)


def consistency(dark: Tensor, light: Tensor, weight: float = 1.0) -> Tensor:
    return ReflectanceConsistencyLoss(weight)(pair(dict(reflectance=light), dict(reflectance=dark)))


def test_consistency() -> None:
    dark, light = pair_of(2)
    expected = np.square(dark.double().numpy() - light.double().numpy()).mean()
    assert float(consistency(dark, light, 0.7)) == pytest.approx(0.7 * expected, rel=1e-5)
    assert float(consistency(light, dark, 0.7)) == pytest.approx(0.7 * expected, rel=1e-5)
    assert float(consistency(dark, dark)) == 0


def test_consistency_teaches_the_dark_side_only() -> None:
    dark, light = (x.double().requires_grad_() for x in pair_of(2))
    consistency(dark, light).backward()
    assert light.grad is None
    assert torch.allclose(dark.grad, 2 * (dark - light).detach() / dark.numel())


def test_published_weights_are_the_defaults() -> None:
    assert MODELS.build(dict(type='DecompositionLoss')).loss_weight == 1
    assert MODELS.build(dict(type='ReflectanceConsistencyLoss')).loss_weight == pytest.approx(0.1 * 0.01)


def test_autocast_keeps_float32() -> None:
    image, target = pair_of(1)
    for loss in (DecompositionLoss(), ReflectanceConsistencyLoss()):
        whole, half = (
            pair(
                dict(reflectance=cast(target.bfloat16()), teacher=cast(target.bfloat16())),
                dict(reflectance=cast(image.bfloat16()), teacher=cast(target.bfloat16())),
            )
            for cast in (Tensor.float, Tensor.bfloat16)
        )
        exact = loss(whole)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            mixed = loss(half)
        assert mixed.dtype == torch.float32
        assert float(mixed) == pytest.approx(float(exact), rel=1e-5)
