"""SSIM as a loss against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from mmdark.adaptation.losses import ssim_loss
from mmdark.adaptation.losses import structural_similarity as structural_similarity_module


def reference(image: torch.Tensor, target: torch.Tensor, data_range: float) -> float:
    """``1 - SSIM`` by scikit-image in float64, the mean over the batch.

    scikit-image leaves out the border that its window does not cover; the loss mirrors the image there.
    """
    border = ((0, 0), (5, 5), (5, 5))
    return 1 - np.mean(
        [
            structural_similarity(
                *(np.pad(x.double().numpy(), border, mode='reflect') for x in pair),
                data_range=data_range,
                channel_axis=0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for pair in zip(image, target, strict=True)
        ]
    )


def pair_of(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = 0.6 * torch.rand(2, 3, 19, 24, generator=generator)
    return (target + 0.2 * torch.rand(target.shape, generator=generator)) * 0.5, target


@pytest.mark.parametrize('data_range', [1.0, 0.25])
def test_given_data_range(data_range: float) -> None:
    image, target = pair_of()
    assert float(ssim_loss(image, target, data_range)) == pytest.approx(reference(image, target, data_range), abs=1e-5)


def test_data_range_of_the_batch() -> None:
    image, target = pair_of()
    span = max(float(x.max() - x.min()) for x in (image, target))
    assert float(ssim_loss(image, target, None)) == pytest.approx(reference(image, target, span), abs=1e-5)


def test_zero_at_equality_and_symmetric() -> None:
    image, target = pair_of()
    assert float(ssim_loss(target, target)) == pytest.approx(0, abs=1e-6)
    assert float(ssim_loss(image, target)) == pytest.approx(float(ssim_loss(target, image)), abs=1e-6)
    assert float(ssim_loss(image, target)) > 0.05


def test_gradient_descends() -> None:
    image, target = pair_of()
    image.requires_grad_()
    before = ssim_loss(image, target)
    before.backward()
    gradient = image.grad
    step = 1e-3 / gradient.norm()
    after = ssim_loss(image.detach() - step * gradient, target)
    assert float(before.detach() - after) == pytest.approx(float(step * gradient.square().sum()), rel=0.05)


def test_autocast_changes_nothing() -> None:
    image, target = pair_of()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = ssim_loss(image, target)
        half = ssim_loss(image.bfloat16(), target.bfloat16())
    assert mixed.dtype == half.dtype == torch.float32
    assert torch.equal(mixed, ssim_loss(image, target))
    assert torch.equal(half, ssim_loss(image.bfloat16().float(), target.bfloat16().float()))


@pytest.mark.parametrize('data_range', [1.0, 0.25])
def test_value_and_gradients_of_torchmetrics(data_range: float) -> None:
    """Of both images, also where only one of them learns."""
    pair = [x.requires_grad_() for x in pair_of(seed=3)]
    reference_loss = 1 - structural_similarity_index_measure(*pair, data_range=data_range)
    wanted = torch.autograd.grad(3 * reference_loss, pair)
    loss = ssim_loss(*pair, data_range)
    assert float(loss.detach()) == pytest.approx(float(reference_loss.detach()), abs=1e-6)
    for mine, its in zip(torch.autograd.grad(3 * loss, pair), wanted, strict=True):
        assert torch.allclose(mine, its, rtol=1e-4, atol=1e-4 * float(its.abs().max()))
    alone = ssim_loss(pair[0].detach(), pair[1], data_range)
    assert torch.allclose(*torch.autograd.grad(3 * alone, pair[1]), wanted[1], rtol=1e-4, atol=1e-8)


def test_nothing_learns_without_gradients() -> None:
    image, target = pair_of()
    assert not ssim_loss(image, target).requires_grad
    with torch.no_grad():
        assert not ssim_loss(image.requires_grad_(), target).requires_grad


def test_where_a_fixed_order_is_asked_for_the_mirror_has_one() -> None:
    """The same image and the same gradient as torch's reflection, whose gradient has none on a GPU."""
    results = []
    for deterministic in (False, True):
        image, target = (x.double().requires_grad_() for x in pair_of())
        torch.use_deterministic_algorithms(deterministic)
        try:
            mirrored = structural_similarity_module._mirrored(image)
            assert ('Reflection' in mirrored.grad_fn.name()) != deterministic
            (mirrored * torch.arange(mirrored.numel()).view_as(mirrored)).sum().backward()
            results.append((mirrored.detach(), image.grad, ssim_loss(image, target)))
        finally:
            torch.use_deterministic_algorithms(False)
    (one, one_grad, one_loss), (other, other_grad, other_loss) = results
    assert torch.equal(one, other) and one_loss == other_loss
    assert torch.allclose(one_grad, other_grad, rtol=1e-12)
