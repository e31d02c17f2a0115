"""What a model makes of an image, as a panel for a person who watches a detector."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mmdark.drawing import pixels_of


@torch.no_grad()
def reflectance_of(model: nn.Module, image: Tensor) -> np.ndarray | None:
    """What the model's reflectance decoder makes of an image; None where it has none.

    Args:
        model: a detector.
        image: RGB in [0, 1], ``(3, H, W)``.

    Returns:
        ``(H, W, 3)`` BGR uint8.
    """
    if getattr(model, 'reflectance_decoder', None) is None:
        return None
    return pixels_of(model.reflectance(image[None].to(next(model.parameters()).device))[0])
