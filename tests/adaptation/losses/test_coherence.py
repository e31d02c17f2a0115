"""Redecomposition coherence against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from torch import Tensor

from mmdark.adaptation.losses import RedecompositionCoherenceLoss

from ..pairs import pair, twice
from .test_structural_similarity import pair_of


def loss_of(again: Tensor, once: Tensor, weight: float = 1.0) -> Tensor:
    """Of two recomposed images alike: half the loss of the pair."""
    recomposed = twice(reflectance=again, given=once)
    return RedecompositionCoherenceLoss(weight)(pair({}, {}, recomposed)) / 2


def test_mean_squared_error() -> None:
    again, once = pair_of()
    expected = np.square(again.double().numpy() - once.double().numpy()).mean()
    assert float(loss_of(again, once, 2.5)) == pytest.approx(2.5 * expected, rel=1e-5)
    assert float(loss_of(once, again, 2.5)) == pytest.approx(2.5 * expected, rel=1e-5)
    assert float(loss_of(once, once)) == 0


def test_both_recomposed_images_count() -> None:
    again, once = pair_of()
    recomposed = pair(dict(reflectance=again, given=once), dict(reflectance=once, given=once))
    loss = RedecompositionCoherenceLoss(1.0)(pair({}, {}, recomposed))
    assert float(loss) == pytest.approx(float(loss_of(again, once)), rel=1e-6)


def test_only_the_second_decomposition_learns() -> None:
    again, once = (x.double().requires_grad_() for x in pair_of())
    loss_of(again, once).backward()
    assert once.grad is None
    assert torch.allclose(again.grad, 2 * (again - once).detach() / again.numel())


def test_published_weight_is_the_default() -> None:
    assert MODELS.build(dict(type='RedecompositionCoherenceLoss')).loss_weight == pytest.approx(0.1 * 0.001)


def test_autocast_keeps_float32() -> None:
    again, once = (x.bfloat16() for x in pair_of())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = loss_of(again, once)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, loss_of(again.float(), once.float()))
