"""Retinex losses of DAI-Net (arXiv:2312.01220): reconstruction of the image and smoothness of the illumination."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from ..dark_pair import DarkPair
from .structural_similarity import ssim_loss

GREY = (0.299, 0.587, 0.114)


def reconstruction_loss(
    reflectance: Tensor, illumination: Tensor, image: Tensor, data_range: float | None = 1.0
) -> Tensor:
    """Mean squared error plus ``1 - SSIM`` between ``reflectance * illumination`` and the image.

    Args:
        reflectance: shape ``(B, 3, H, W)``.
        illumination: shape ``(B, 1, H, W)``.
        image: RGB in [0, 1], shape ``(B, 3, H, W)``.
        data_range: span of the pixel values in SSIM; None takes it from the batch, as published.

    Returns:
        A scalar, zero when the product equals the image.
    """
    product = reflectance * illumination
    return F.mse_loss(product, image) + ssim_loss(product, image, data_range)


def illumination_smoothness(illumination: Tensor, reflectance: Tensor) -> Tensor:
    """Gradients of the illumination, weighted less at edges of the reflectance (RetinexNet, BMVC 2018).

    Args:
        illumination: shape ``(B, 1, H, W)``.
        reflectance: shape ``(B, 3, H, W)``.

    Returns:
        A scalar: the mean over the pixels, summed over both directions.
    """
    # Autocast would run einsum in half precision, and copying a tensor of weights would synchronise with the GPU.
    grey = sum(weight * channel for weight, channel in zip(GREY, reflectance.split(1, dim=1), strict=True))
    return sum(
        (_gradient(illumination, axis) * torch.exp(-10.0 * F.avg_pool2d(_gradient(grey, axis), 3, 1, 1))).mean()
        for axis in ('x', 'y')
    )


def _gradient(image: Tensor, axis: str) -> Tensor:
    """Absolute differences of ``(B, 1, H, W)`` along an axis with a zero border, ``(B, 1, H + 1, W + 1)``."""
    padded = F.pad(image, (1, 1, 1, 1))
    lower = padded[..., 1:, 1:]
    return (lower - (padded[..., 1:, :-1] if axis == 'x' else padded[..., :-1, 1:])).abs()


@MODELS.register_module()
class ReconstructionLoss(nn.Module):
    """:func:`reconstruction_loss` of both images, with a weight.

    Args:
        loss_weight: factor on the loss; 0.1 as published.
        data_range: span of the pixel values in SSIM; None takes it from the batch, as published.
    """

    needs = ('teacher',)

    def __init__(self, loss_weight: float = 0.1, data_range: float | None = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.data_range = data_range

    def forward(self, pair: DarkPair) -> Tensor:
        """Weighted loss of both images of a pair."""
        return sum(
            self.loss_weight
            * reconstruction_loss(
                view.reflectance.float(), view.teacher.illumination.float(), view.image, self.data_range
            )
            for view in (pair.dark, pair.light)
        )


@MODELS.register_module()
class IlluminationSmoothnessLoss(nn.Module):
    """:func:`illumination_smoothness` of both images, with a weight.

    Args:
        loss_weight: factor on the loss; 0.1 · 0.5 as published.
    """

    needs = ('teacher',)

    def __init__(self, loss_weight: float = 0.05) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pair: DarkPair) -> Tensor:
        """Weighted loss of both images of a pair."""
        return sum(
            self.loss_weight * illumination_smoothness(view.teacher.illumination.float(), view.reflectance.float())
            for view in (pair.dark, pair.light)
        )
