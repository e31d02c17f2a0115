"""The focal loss of RetinaNet, FCOS and DINO on a GPU, for which mmdet asks mmcv's compiled ops.

Cause: as in :mod:`mmdark.compat.compiled_ops`; on a CPU mmdet computes the same in PyTorch. End: as there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def focal_loss(scores: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    """Sigmoid focal loss (arXiv:1708.02002) of each score, at least in float32.

    Args:
        scores: logits, ``(N, C)``.
        target: class index of each row, ``(N,)``; C or more is background.
        weight: weight of each class, including background if it is a target; if empty, all weights are 1.
        gamma: exponent.
        alpha: weight of the target's class; the other classes have ``1 - alpha``.

    Returns:
        ``(N, C)``.
    """
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
    positive = target[:, None] == torch.arange(scores.shape[1], device=scores.device)
    signed = torch.where(positive, wide, -wide)
    losses = (-signed).sigmoid() ** gamma * -F.logsigmoid(signed) * torch.where(positive, alpha, 1 - alpha)
    return losses * weight[target][:, None] if weight.numel() else losses


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """The op of mmcv of this name, which writes into ``output``; see :func:`focal_loss`."""
    output.copy_(focal_loss(input, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """The op of mmcv of this name, which writes into ``grad_input``; see :func:`focal_loss`."""
    with torch.enable_grad():
        scores = input.detach().requires_grad_()
        total = focal_loss(scores, target, weight, gamma, alpha).sum()
    grad_input.copy_(torch.autograd.grad(total, scores)[0])
