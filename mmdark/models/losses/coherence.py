"""Redecomposition coherence (DAI-Net, arXiv:2312.01220): decomposing twice should change nothing."""

from __future__ import annotations

from mmdet.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F


@MODELS.register_module()
class RedecompositionCoherenceLoss(nn.Module):
    """The reflectance of an interchanged image should equal the one it was made from, which receives no gradient.

    Args:
        loss_weight: factor on the mean squared error; 0.1 · 0.001 as published.
    """

    def __init__(self, loss_weight: float = 0.0001) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, redecomposed: Tensor, reflectance: Tensor) -> Tensor:
        """Weighted loss of the reflectances after the second and the first decomposition, each ``(B, 3, H, W)``."""
        return self.loss_weight * F.mse_loss(redecomposed, reflectance.detach())
