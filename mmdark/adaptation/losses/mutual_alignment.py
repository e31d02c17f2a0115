"""Mutual feature alignment (DAI-Net, arXiv:2312.01220): light and dark features should agree."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from ..dark_pair import DarkPair


def mutual_alignment(light: Tensor, dark: Tensor, temperature: float = 4.0) -> Tensor:
    """Symmetric KL divergence between the channel distributions of two feature maps.

    Args:
        light: features of the light images, shape ``(B, C, H, W)``.
        dark: features of their dark versions, shape ``(B, C, H, W)``.
        temperature: softens both distributions before they are compared.

    Returns:
        A scalar, zero when the pooled features are equal.

    Example:
        >>> x = torch.rand(2, 8, 4, 4)
        >>> mutual_alignment(x, x)
        tensor(0.)
    """
    with torch.autocast(light.device.type, enabled=False):
        log_light, log_dark = (
            F.log_softmax(features.float().mean(dim=(2, 3)) / temperature, dim=1) for features in (light, dark)
        )
        divergence = F.kl_div(log_light, log_dark, reduction='batchmean', log_target=True) + F.kl_div(
            log_dark, log_light, reduction='batchmean', log_target=True
        )
    return divergence * temperature**2


@MODELS.register_module()
class MutualAlignmentLoss(nn.Module):
    """Weighted :func:`mutual_alignment` of the images and of the recomposed images, if there are any.

    Args:
        loss_weight: factor on the divergence; 0.1 as published.
        temperature: softens both distributions; 4 as published.
    """

    needs = ()

    def __init__(self, loss_weight: float = 0.1, temperature: float = 4.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.temperature = temperature

    def forward(self, pair: DarkPair) -> Tensor:
        """Weighted loss of the shallow features of a pair."""
        pairs = (pair, pair.recomposed) if pair.recomposed is not None else (pair,)
        return sum(
            self.loss_weight * mutual_alignment(each.light.shallow, each.dark.shallow, self.temperature)
            for each in pairs
        )
