"""Reconstruction and smoothness against NumPy, scikit-image and the explicit 2x2 kernels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from mmdark.adaptation.losses import (
    IlluminationSmoothnessLoss,
    ReconstructionLoss,
    illumination_smoothness,
    reconstruction_loss,
)

from ...half_precision import HALVES
from ..pairs import twice
from .test_structural_similarity import reference


def decomposition_of(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Reflectance, illumination and an image that is not quite their product."""
    generator = torch.Generator().manual_seed(seed)
    reflectance = torch.rand(2, 3, 17, 20, generator=generator)
    illumination = torch.rand(2, 1, 17, 20, generator=generator)
    return reflectance, illumination, reflectance * illumination + 0.1 * torch.rand(2, 3, 17, 20, generator=generator)


@pytest.mark.parametrize('data_range', [1.0, None])
def test_reconstruction(data_range: float | None) -> None:
    reflectance, illumination, image = decomposition_of()
    product = np.stack([[r * lit[0] for r in rows] for rows, lit in zip(reflectance, illumination, strict=True)])
    span = data_range or max(float(np.ptp(x)) for x in (product, image.numpy()))
    expected = np.square(product - image.numpy()).mean() + reference(torch.from_numpy(product), image, span)
    ours = reconstruction_loss(reflectance, illumination, image, data_range)
    assert float(ours) == pytest.approx(expected, abs=1e-5)
    module = ReconstructionLoss(0.2, data_range)
    both = twice(reflectance=reflectance, illumination=illumination, image=image)
    assert float(module(both)) == pytest.approx(2 * 0.2 * expected, abs=1e-5)


def test_reconstruction_is_zero_at_equality() -> None:
    reflectance, illumination, _ = decomposition_of()
    assert float(reconstruction_loss(reflectance, illumination, reflectance * illumination)) == pytest.approx(
        0, abs=1e-6
    )


def explicit_smoothness(illumination: Tensor, reflectance: Tensor) -> Tensor:
    """As the published code computes it: 2x2 kernels with padding 1, 3x3 average pooling."""
    grey = 0.299 * reflectance[:, :1] + 0.587 * reflectance[:, 1:2] + 0.114 * reflectance[:, 2:]
    kernel = torch.tensor([[[[0.0, 0.0], [-1.0, 1.0]]]], dtype=illumination.dtype)
    total = illumination.new_zeros(())
    for direction in (kernel, kernel.transpose(2, 3)):
        light, edges = (F.conv2d(x, direction, padding=1).abs() for x in (illumination, grey))
        total = total + (light * torch.exp(-10 * F.avg_pool2d(edges, 3, stride=1, padding=1))).mean()
    return total


def test_smoothness() -> None:
    reflectance, illumination, _ = (x.double().requires_grad_() for x in decomposition_of())
    ours, explicit = (loss(illumination, reflectance) for loss in (illumination_smoothness, explicit_smoothness))
    assert float(ours.detach()) == pytest.approx(float(explicit.detach()), rel=1e-10)
    gradients = (torch.autograd.grad(loss, (illumination, reflectance)) for loss in (ours, explicit))
    for ours, explicit in zip(*gradients, strict=True):
        assert torch.allclose(ours, explicit, rtol=1e-8, atol=1e-12)
    with torch.no_grad():
        weighted = IlluminationSmoothnessLoss(0.4)(twice(illumination=illumination, reflectance=reflectance))
        expected = 2 * 0.4 * float(explicit_smoothness(illumination, reflectance))
        assert float(weighted) == pytest.approx(expected, rel=1e-5)


def test_smoothness_knows_its_axes() -> None:
    """Light that jumps between columns is forgiven by reflectance that jumps there, not by one that jumps elsewhere."""
    columns = torch.zeros(1, 1, 12, 12)
    columns[..., 6:] = 1
    rows = columns.transpose(2, 3)
    forgiven, elsewhere = (float(illumination_smoothness(columns, x.expand(1, 3, -1, -1))) for x in (columns, rows))
    assert forgiven < 0.75 * elsewhere


def test_smoothness_gradcheck() -> None:
    generator = torch.Generator().manual_seed(1)
    illumination, reflectance = (
        torch.rand(1, channels, 4, 5, dtype=torch.float64, generator=generator, requires_grad=True)
        for channels in (1, 3)
    )
    assert torch.autograd.gradcheck(illumination_smoothness, (illumination, reflectance))


def test_darkness_is_smooth() -> None:
    assert float(illumination_smoothness(torch.zeros(1, 1, 8, 8), torch.rand(1, 3, 8, 8))) == 0


def test_published_weights_are_the_defaults() -> None:
    assert MODELS.build(dict(type='ReconstructionLoss')).loss_weight == pytest.approx(0.1)
    assert MODELS.build(dict(type='IlluminationSmoothnessLoss')).loss_weight == pytest.approx(0.1 * 0.5)


@pytest.mark.parametrize('dtype', HALVES)
def test_autocast_keeps_float32(dtype: torch.dtype) -> None:
    reflectance, illumination, image = decomposition_of()
    halves = dict(reflectance=reflectance.to(dtype), illumination=(0.1 * illumination).to(dtype))
    for loss in (ReconstructionLoss(), IlluminationSmoothnessLoss()):
        exact = loss(twice(image=image, **{name: x.float() for name, x in halves.items()}))
        with torch.autocast('cpu', dtype=dtype):
            mixed = loss(twice(image=image, **halves))
        assert mixed.dtype == torch.float32
        assert float(mixed) == pytest.approx(float(exact), rel=1e-5)
