"""Redecomposition coherence (DAI-Net, arXiv:2312.01220): decomposing twice should change nothing."""

from __future__ import annotations

from mmdet.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from ..dark_pair import DarkPair


def redecomposition_coherence(redecomposed: Tensor, reflectance: Tensor) -> Tensor:
    """Mean squared error between the reflectances after the second and the first decomposition.

    Args:
        redecomposed: reflectance of the recomposed image, shape ``(B, 3, H, W)``.
        reflectance: reflectance the image was recomposed with, shape ``(B, 3, H, W)``; it receives no gradient.

    Returns:
        A scalar, zero when both are equal.
    """
    return F.mse_loss(redecomposed, reflectance.detach())


@MODELS.register_module()
class RedecompositionCoherenceLoss(nn.Module):
    """:func:`redecomposition_coherence` of both recomposed images, with a weight.

    Args:
        loss_weight: factor on the mean squared error; 0.1 · 0.001 as published.
    """

    needs = ('teacher', 'recomposition')

    def __init__(self, loss_weight: float = 0.0001) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pair: DarkPair) -> Tensor:
        """Weighted loss of a pair that has recomposed images."""
        assert pair.recomposed is not None, 'the loss needs a recomposition'
        views = (pair.recomposed.light, pair.recomposed.dark)
        return sum(self.loss_weight * redecomposition_coherence(view.reflectance, view.given) for view in views)
