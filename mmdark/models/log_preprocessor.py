"""A data preprocessor that reduces the difference of day and night: log pixels, standardised per image."""

from __future__ import annotations

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from torch import Tensor

SMALLEST_STD = 1e-3
"""Lower bound of the standard deviation, for images of one colour."""


def log_standardized(pixels: Tensor, knee: float = 8.0) -> Tensor:
    """``log(1 + pixels / knee)`` with mean 0 and standard deviation 1.

    A darker exposure multiplies the pixels, which shifts their logarithms; subtracting the mean removes the shift.
    Pixels well below the knee, where noise is, stay on a linear scale.

    Args:
        pixels: pixels of one image in [0, 255], any shape; negative values count as 0.
        knee: pixel value at which the linear part ends.

    Example:
        >>> log_standardized(torch.tensor([0.0, 255.0]))
        tensor([-1.,  1.])
    """
    logs = torch.log1p(pixels.float().clamp(min=0) / knee)
    return (logs - logs.mean()) / logs.std(correction=0).clamp(min=SMALLEST_STD)


@MODELS.register_module()
class LogPreprocessor(DetDataPreprocessor):
    """``DetDataPreprocessor`` with :func:`log_standardized` instead of mean and standard deviation.

    The padding of a batch is 0 and does not affect mean and standard deviation.

    Args:
        knee: see :func:`log_standardized`.
        **kwargs: arguments of ``DetDataPreprocessor`` except ``mean`` and ``std``.
    """

    def __init__(self, knee: float = 8.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.knee = knee

    def forward(self, data: dict, training: bool = False) -> dict:
        """Batch, pad, and standardise each image; ``inputs`` becomes float32 ``(B, 3, H, W)``."""
        batch = super().forward(data, training)
        images = batch['inputs']
        samples = batch.get('data_samples') or [None] * len(images)
        result = torch.zeros_like(images, dtype=torch.float32)
        for image, sample, out in zip(images, samples, result, strict=True):
            height, width = image.shape[-2:] if sample is None else sample.img_shape[:2]
            out[:, :height, :width] = log_standardized(image[:, :height, :width], self.knee)
        batch['inputs'] = result
        return batch

    def from_unit(self, images: Tensor) -> Tensor:
        """Standardise unpadded images in [0, 1], ``(B, 3, H, W)``, in the same way."""
        return torch.stack([log_standardized(255 * image, self.knee) for image in images])
