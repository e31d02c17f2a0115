"""Structural similarity (SSIM) as a loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

RADIUS, SIGMA = 5, 1.5
"""Radius and standard deviation of the Gaussian window, in pixels."""
K1, K2 = 0.01, 0.03


def ssim_loss(image: Tensor, target: Tensor, data_range: float | None = 1.0) -> Tensor:
    """``1 - SSIM`` in float32, with the 11x11 Gaussian window of the SSIM paper; images are mirrored at the border.

    Equal to the SSIM of torchmetrics up to rounding. That one is slow (it convolves with 121 weights, here with 11 and
    11) and stores 100 MB for the gradient of an image of 640 pixels. Here the forward pass computes the gradient, so
    there is no second derivative. ``data_range=None`` uses torchmetrics, because at spans of 0.1 its rounding changes
    the fourth digit of the published numbers.

    Args:
        image: shape ``(B, C, H, W)``, H and W greater than 5.
        target: shape ``(B, C, H, W)``.
        data_range: span of the pixel values. None takes the larger span of the two batches, as published; the loss of
            an image then depends on its batch.

    Returns:
        A scalar, zero when both are equal.

    Example:
        >>> x = torch.rand(1, 3, 16, 16)
        >>> ssim_loss(x, x, data_range=1.0).abs() < 1e-6
        tensor(True)
    """
    with torch.autocast(image.device.type, enabled=False):
        # On a GPU, depthwise convolutions copy their input unless it is contiguous.
        image, target = image.float().contiguous(), target.float().contiguous()
        if data_range is None:
            # Imported here, because it imports SciPy.
            from torchmetrics.functional.image import structural_similarity_index_measure

            return 1.0 - structural_similarity_index_measure(image, target)
        return _WithGradient.apply(image, target, data_range)


class _WithGradient(torch.autograd.Function):
    """The loss; its gradients are computed in the forward pass."""

    @staticmethod
    def forward(ctx: FunctionCtx, image: Tensor, target: Tensor, data_range: float) -> Tensor:
        learns = ctx.needs_input_grad[:2]
        with torch.enable_grad():
            pair = [x.detach().requires_grad_(needed) for x, needed in zip((image, target), learns, strict=True)]
            loss = _loss(pair[0], pair[1], data_range)
            leaves = [x for x in pair if x.requires_grad]
            gradients = iter(torch.autograd.grad(loss, leaves) if leaves else ())
        ctx.save_for_backward(*(next(gradients) if needed else None for needed in learns))
        return loss.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*(None if saved is None else gradient * saved for saved in ctx.saved_tensors), None)


def _loss(x: Tensor, y: Tensor, data_range: float) -> Tensor:
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    x, y = _mirrored(x), _mirrored(y)
    mean_x, mean_xx, mean_xy = _blur(torch.cat([x, x * x, x * y], dim=1)).chunk(3, dim=1)
    mean_y, mean_yy = _blur(torch.cat([y, y * y], dim=1)).chunk(2, dim=1)
    square_x, square_y, product = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    variances = (mean_xx - square_x).clamp(min=0) + (mean_yy - square_y).clamp(min=0)
    covariance = mean_xy - product
    similarity = (2 * product + c1) * (2 * covariance + c2) / ((square_x + square_y + c1) * (variances + c2))
    return 1.0 - similarity.mean()


def _mirrored(image: Tensor) -> Tensor:
    """Pad by ``RADIUS`` mirrored pixels on each side: ``(B, C, H + 10, W + 10)``.

    On a GPU the gradient of ``F.pad(mode='reflect')`` is not deterministic and raises an error in deterministic mode.
    """
    if not torch.are_deterministic_algorithms_enabled():
        return F.pad(image, (RADIUS,) * 4, mode='reflect')
    for axis in (2, 3):
        size, width = image.shape[axis], RADIUS
        before, after = image.narrow(axis, 1, width), image.narrow(axis, size - width - 1, width)
        image = torch.cat([before.flip(axis), image, after.flip(axis)], dim=axis)
    return image


def _blur(maps: Tensor) -> Tensor:
    """Gaussian means of ``(B, C, H + 10, W + 10)``, down the columns and along the rows: ``(B, C, H, W)``."""
    channels = maps.shape[1]
    distance = torch.arange(-RADIUS, RADIUS + 1, device=maps.device, dtype=maps.dtype)
    weights = torch.softmax(-0.5 * (distance / SIGMA).square(), dim=0).expand(channels, 1, -1)
    return F.conv2d(F.conv2d(maps, weights[..., None], groups=channels), weights[:, :, None], groups=channels)
