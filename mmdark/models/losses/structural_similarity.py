"""Structural similarity as a loss, on torchmetrics' SSIM."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure


def ssim_loss(image: Tensor, target: Tensor, data_range: float | None = 1.0) -> Tensor:
    """``1 - SSIM`` in float32, with the 11x11 Gaussian window of the SSIM paper.

    Args:
        image: shape ``(B, C, H, W)``.
        target: shape ``(B, C, H, W)``.
        data_range: span of the pixel values. None takes the larger span of the two batches, as published: the loss of
            an image then depends on the batch it is in.

    Returns:
        A scalar, zero when both are equal.

    Example:
        >>> x = torch.rand(1, 3, 16, 16)
        >>> ssim_loss(x, x, data_range=1.0).abs() < 1e-6
        tensor(True)
    """
    with torch.autocast(image.device.type, enabled=False):
        # The windows run over three channels at a time: on a CPU twice as fast in channels-last order, and the same.
        image, target = (x.float().contiguous(memory_format=torch.channels_last) for x in (image, target))
        return 1.0 - structural_similarity_index_measure(image, target, data_range=data_range)
