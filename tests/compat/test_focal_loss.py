"""The focal loss that mmdet asks mmcv for on a GPU, against what it computes on a CPU."""

from __future__ import annotations

import pytest
import torch
from mmcv.ops import sigmoid_focal_loss
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss
from torch.nn import functional as F

from tests.compat.test_compiled_ops import needs_stand_in

pytestmark = needs_stand_in


@pytest.mark.parametrize(('gamma', 'alpha'), [(2.0, 0.25), (1.5, 0.6)])
@pytest.mark.parametrize('classes', [1, 3])
def test_values_and_gradients_are_those_of_a_cpu(classes: int, gamma: float, alpha: float) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = (torch.randn(50, classes, generator=generator) * 6).requires_grad_()
    target = torch.arange(50) % (classes + 1)  # the last is background
    back = torch.rand(50, classes, generator=generator)
    ours = sigmoid_focal_loss(scores, target, gamma, alpha, None, 'none')
    one_hot = F.one_hot(target, classes + 1)[:, :classes]
    theirs = py_sigmoid_focal_loss(scores, one_hot, None, gamma, alpha, 'none')
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(losses, scores, back)[0] for losses in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)
    mean = sigmoid_focal_loss(scores, target, gamma, alpha)
    torch.testing.assert_close(mean, theirs.sum() / 50)


def test_a_number_by_hand_and_one_that_is_far_off() -> None:
    """Probability 0.8 of a face that is one: 0.25 * 0.2 ** 2 * -log 0.8; half precision does not overflow."""
    score = torch.logit(torch.tensor([[0.8]]))
    assert float(sigmoid_focal_loss(score, torch.tensor([0]))) == pytest.approx(0.25 * 0.04 * 0.22314355)
    far = torch.tensor([[-200.0]]).half().requires_grad_()
    loss = sigmoid_focal_loss(far, torch.tensor([0]), 2.0, 0.25, None, 'none')
    loss.sum().backward()
    assert loss.dtype == torch.float16 and loss.item() == 50 and far.grad.item() == -0.25


def test_classes_have_weights() -> None:
    scores, target = torch.zeros(2, 2), torch.tensor([0, 1])
    plain = sigmoid_focal_loss(scores, target, 2.0, 0.25, None, 'none')
    weighted = sigmoid_focal_loss(scores, target, 2.0, 0.25, torch.tensor([1.0, 3.0]), 'none')
    torch.testing.assert_close(weighted, plain * torch.tensor([[1.0], [3.0]]))
