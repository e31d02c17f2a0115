"""Redecomposition coherence against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS

from mmdark.models.losses import RedecompositionCoherenceLoss

from .test_structural_similarity import pair_of


def test_mean_squared_error() -> None:
    again, once = pair_of()
    expected = np.square(again.double().numpy() - once.double().numpy()).mean()
    loss = RedecompositionCoherenceLoss(2.5)
    assert float(loss(again, once)) == pytest.approx(2.5 * expected, rel=1e-5)
    assert float(loss(once, again)) == pytest.approx(2.5 * expected, rel=1e-5)
    assert float(loss(once, once)) == 0


def test_only_the_second_decomposition_learns() -> None:
    again, once = (x.double().requires_grad_() for x in pair_of())
    RedecompositionCoherenceLoss(1.0)(again, once).backward()
    assert once.grad is None
    assert torch.allclose(again.grad, 2 * (again - once).detach() / again.numel())


def test_published_weight_is_the_default() -> None:
    assert MODELS.build(dict(type='RedecompositionCoherenceLoss')).loss_weight == pytest.approx(0.1 * 0.001)


def test_autocast_keeps_float32() -> None:
    again, once = (x.bfloat16() for x in pair_of())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = RedecompositionCoherenceLoss(1.0)(again, once)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, RedecompositionCoherenceLoss(1.0)(again.float(), once.float()))
