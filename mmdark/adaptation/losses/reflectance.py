"""Losses of DAI-Net (arXiv:2312.01220) on the decoded reflectance."""

from __future__ import annotations

from mmdet.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from ..dark_pair import DarkPair
from .structural_similarity import ssim_loss


def decomposition_loss(reflectance: Tensor, target: Tensor, data_range: float | None = 1.0) -> Tensor:
    """L1 distance plus ``1 - SSIM`` between the decoder's reflectance and the teacher's.

    Args:
        reflectance: output of the reflectance decoder, shape ``(B, 3, H, W)``.
        target: reflectance of the Retinex teacher, shape ``(B, 3, H, W)``.
        data_range: span of the pixel values in SSIM; None takes it from the batch, as published.

    Returns:
        A scalar, zero when both are equal.
    """
    return F.l1_loss(reflectance, target) + ssim_loss(reflectance, target, data_range)


def reflectance_consistency(dark: Tensor, light: Tensor) -> Tensor:
    """Mean squared error between the reflectances of dark images and of their light versions.

    Args:
        dark: shape ``(B, 3, H, W)``.
        light: shape ``(B, 3, H, W)``; it receives no gradient.

    Returns:
        A scalar, zero when both are equal.
    """
    return F.mse_loss(dark, light.detach())


@MODELS.register_module()
class DecompositionLoss(nn.Module):
    """:func:`decomposition_loss` of both images, with a weight.

    Args:
        loss_weight: factor on the loss; 1 as published.
        data_range: span of the pixel values in SSIM; None takes it from the batch, as published.
    """

    needs = ('teacher',)

    def __init__(self, loss_weight: float = 1.0, data_range: float | None = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.data_range = data_range

    def forward(self, pair: DarkPair) -> Tensor:
        """Weighted loss of both images of a pair."""
        return sum(
            self.loss_weight * decomposition_loss(view.reflectance, view.teacher.reflectance, self.data_range)
            for view in (pair.dark, pair.light)
        )


@MODELS.register_module()
class ReflectanceConsistencyLoss(nn.Module):
    """:func:`reflectance_consistency` with a weight.

    Args:
        loss_weight: factor on the mean squared error; 0.1 · 0.01 as published.
    """

    needs = ('teacher',)

    def __init__(self, loss_weight: float = 0.001) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pair: DarkPair) -> Tensor:
        """Weighted loss of the reflectances of a pair."""
        return self.loss_weight * reflectance_consistency(pair.dark.reflectance, pair.light.reflectance)
