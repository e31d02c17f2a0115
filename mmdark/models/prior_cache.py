"""A cache of priors, which are built once for each combination of map sizes, image size and device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from mmdet.models.task_modules.prior_generators import AnchorGenerator, anchor_inside_flags
from torch import Tensor

Sizes = tuple[tuple[int, int], ...]
CAPACITY = 32
"""Maximum number of entries, so that testing at many scales or image sizes does not fill the memory."""


class ImagePriors(NamedTuple):
    """The priors of one image.

    Attributes:
        corners: corners of the priors in fractions of the image, ``(P, 4)``.
        inside: whether each prior takes part in the matching, bool, ``(P,)``.
        size: width, height, width and height of the image in pixels, ``(4,)``.
    """

    corners: Tensor
    inside: Tensor
    size: Tensor


class PriorCache:
    """The 32 most recently used sets of priors of one head.

    Args:
        generator: generator of the priors.
        allowed_border: priors that exceed the image by more than this many pixels take no part in the matching; with
            -1 all take part.

    Attributes:
        builds: number of sets built so far.
    """

    def __init__(self, generator: AnchorGenerator, allowed_border: int = -1) -> None:
        self.generator = generator
        self.allowed_border = allowed_border
        self.builds = 0
        self._kept: dict[tuple, Any] = {}

    def in_pixels(self, sizes: Sizes, device: torch.device) -> Tensor:
        """Corners of all priors, level by level and row by row, float32, ``(P, 4)``; ``sizes`` are (height, width)."""
        build = self.generator.grid_priors
        return self._remembered((sizes, device), lambda: torch.cat(build(sizes, dtype=torch.float32, device=device)))

    def of_image(
        self, sizes: Sizes, device: torch.device, image: tuple[int, int], padded: tuple[int, int]
    ) -> ImagePriors:
        """The priors in fractions of an image of (height, width) pixels; cells outside ``padded`` take no part.

        They are computed from centres and sides in fractions, as published, because rounding decides between nearly
        equal overlaps.
        """
        return self._remembered((sizes, device, image, padded), lambda: self._of_image(sizes, device, image, padded))

    def _of_image(
        self, sizes: Sizes, device: torch.device, image: tuple[int, int], padded: tuple[int, int]
    ) -> ImagePriors:
        priors = self.in_pixels(sizes, device)
        valid = torch.cat(self.generator.valid_flags(sizes, padded, device=device))
        inside = anchor_inside_flags(priors, valid, image, self.allowed_border)
        size = priors.new_tensor([image[1], image[0]]).repeat(2)
        centres, sides = (priors[:, :2] + priors[:, 2:]) / 2, priors[:, 2:] - priors[:, :2]
        centres, halves = centres / size[:2], sides / size[:2] / 2
        return ImagePriors(torch.cat([centres - halves, centres + halves], dim=1), inside, size)

    def _remembered(self, key: tuple, build: Callable[[], Any]) -> Any:
        kept = self._kept.pop(key, None)
        if kept is None:
            with torch.inference_mode(False), torch.no_grad():
                kept = build()
            self.builds += 1
            while len(self._kept) >= CAPACITY:
                del self._kept[next(iter(self._kept))]  # the least recently used entry
        self._kept[key] = kept
        return kept
