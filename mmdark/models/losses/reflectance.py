"""Reflectance losses of DAI-Net (arXiv:2312.01220): what the decoder should draw."""

from __future__ import annotations

from mmdet.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from .structural_similarity import ssim_loss


def decomposition_loss(reflectance: Tensor, target: Tensor, data_range: float | None = 1.0) -> Tensor:
    """L1 distance plus ``1 - SSIM`` between the decoder's reflectance and the teacher's.

    Args:
        reflectance: of the reflectance decoder, shape ``(B, 3, H, W)``.
        target: of the Retinex teacher, shape ``(B, 3, H, W)``.
        data_range: of SSIM, the span of the pixel values; None takes it from the batch, as published.

    Returns:
        A scalar, zero when both are equal.
    """
    return F.l1_loss(reflectance, target) + ssim_loss(reflectance, target, data_range)


@MODELS.register_module()
class DecompositionLoss(nn.Module):
    """:func:`decomposition_loss` with a weight.

    Args:
        loss_weight: factor on the loss; 1 as published.
        data_range: of SSIM, the span of the pixel values; None takes it from the batch, as published.
    """

    def __init__(self, loss_weight: float = 1.0, data_range: float | None = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.data_range = data_range

    def forward(self, reflectance: Tensor, target: Tensor) -> Tensor:
        """Weighted loss of two reflectances, each ``(B, 3, H, W)``."""
        return self.loss_weight * decomposition_loss(reflectance, target, self.data_range)


@MODELS.register_module()
class ReflectanceConsistencyLoss(nn.Module):
    """The reflectance of a dark image should equal that of its light one, which receives no gradient.

    Args:
        loss_weight: factor on the mean squared error; 0.1 · 0.01 as published.
    """

    def __init__(self, loss_weight: float = 0.001) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, dark: Tensor, light: Tensor) -> Tensor:
        """Weighted loss of the reflectances of the dark and the light images, each ``(B, 3, H, W)``."""
        return self.loss_weight * F.mse_loss(dark, light.detach())
