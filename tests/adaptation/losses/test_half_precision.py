"""Every loss under autocast is its float32 self on the same numbers: value, type and gradients.

What comes in is bfloat16, as the convolutions give it. Gradients go back through bfloat16, which keeps 8 bits.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..pairs import pair

SHAPES = {
    'DecompositionLoss': (3, 3),
    'ReflectanceConsistencyLoss': (3, 3),
    'ReconstructionLoss': (3, 1, 3),
    'IlluminationSmoothnessLoss': (1, 3),
    'RedecompositionCoherenceLoss': (3, 3),
    'MutualAlignmentLoss': (6, 6),
}
"""Channels of what each loss compares."""
PARTS = {
    'DecompositionLoss': ('reflectance', 'teacher'),
    'ReconstructionLoss': ('reflectance', 'illumination', 'image'),
    'IlluminationSmoothnessLoss': ('illumination', 'reflectance'),
    'RedecompositionCoherenceLoss': ('reflectance', 'given'),
}
"""What they are, in each image of the pair; the other losses compare one thing of both images."""
PICTURES = {
    'noise': lambda shape, seed: torch.rand(shape, generator=torch.Generator().manual_seed(seed)),
    'black': lambda shape, seed: torch.zeros(shape),
    'white on black': lambda shape, seed: torch.full(shape, float(seed % 2)),
    'nearly black': lambda shape, seed: 1e-4 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)),
}


def record_of(name: str, one: list[Tensor], other: list[Tensor]) -> SimpleNamespace:
    """The record that holds what the loss compares."""
    if name not in PARTS:
        part = 'shallow' if name == 'MutualAlignmentLoss' else 'reflectance'
        return pair({part: one[1]}, {part: one[0]})
    both = pair(*(dict(zip(PARTS[name], parts, strict=True)) for parts in (one, other)))
    return pair({}, {}, both) if name == 'RedecompositionCoherenceLoss' else both


def value_and_gradients(name: str, given: list[Tensor], half: bool) -> tuple[Tensor, list[Tensor | None]]:
    leaves = [x.clone().requires_grad_() for x in given]
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half):
        # One copy for each image, so that the gradients of both are added in float32.
        one, other = ([x.bfloat16() if half else x for x in leaves] for _ in 'ab')
        record = record_of(name, one, other)
        loss = MODELS.build(dict(type=name, loss_weight=1.0))(record)
    return loss, list(torch.autograd.grad(loss, leaves, allow_unused=True))


@pytest.mark.parametrize('picture', PICTURES)
@pytest.mark.parametrize('name', SHAPES)
def test_losses(name: str, picture: str) -> None:
    given = [PICTURES[picture]((2, c, 21, 24), seed).bfloat16().float() for seed, c in enumerate(SHAPES[name])]
    exact, wanted = value_and_gradients(name, given, half=False)
    mixed, gradients = value_and_gradients(name, given, half=True)
    assert mixed.dtype == torch.float32 and torch.isfinite(mixed)
    assert float(mixed.detach()) == pytest.approx(float(exact.detach()), rel=1e-6, abs=1e-9)
    for mine, reference in zip(gradients, wanted, strict=True):
        assert (mine is None) == (reference is None)
        if mine is not None:
            assert torch.isfinite(mine).all()
            assert torch.allclose(mine, reference, rtol=2**-7, atol=1e-3 * float(reference.abs().max()) + 1e-12)


def test_features_far_beyond_one_stay_finite() -> None:
    """Softmax and KL divergence of features in the thousands."""
    light, dark = (1e4 * PICTURES['noise']((2, 6, 4, 4), seed).bfloat16().float() for seed in range(2))
    mixed, gradients = value_and_gradients('MutualAlignmentLoss', [light, dark], half=True)
    assert torch.isfinite(mixed) and float(mixed.detach()) > 100
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
