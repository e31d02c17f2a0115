"""Priors are built once for the sizes of the maps, the image and the device, not at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from mmdet.models.task_modules.prior_generators import AnchorGenerator, anchor_inside_flags
from torch import Tensor

Sizes = tuple[tuple[int, int], ...]
CAPACITY = 32
"""So many are kept: testing at many scales, or on images of many sizes, must not fill the memory."""


class ImagePriors(NamedTuple):
    """The priors as one image sees them.

    Attributes:
        corners: in fractions of the image, as rows, ``(4, P)``.
        inside: which take part in the matching, bool, ``(P,)``; None: all.
        size: width, height, width and height of the image in pixels, ``(4,)``.
    """

    corners: Tensor
    inside: Tensor | None
    size: Tensor


class PriorCache:
    """Priors of one head, the last 32 that were asked for.

    Args:
        generator: makes them.
        allowed_border: in pixels: priors further outside the image take no part in the matching; below 0: all do.

    Attributes:
        builds: how many have been built so far.
    """

    def __init__(self, generator: AnchorGenerator, allowed_border: int = -1) -> None:
        self.generator = generator
        self.allowed_border = allowed_border
        self.builds = 0
        self._kept: dict[tuple, Any] = {}

    def in_pixels(self, sizes: Sizes, device: torch.device) -> Tensor:
        """Corners of all priors, level by level and row by row, float32, ``(P, 4)``."""
        return self._remembered(
            (sizes, device),
            lambda: torch.cat(self.generator.grid_priors(sizes, dtype=torch.float32, device=device)),
        )

    def of_image(
        self, sizes: Sizes, device: torch.device, image: tuple[int, int], padded: tuple[int, int]
    ) -> ImagePriors:
        """The priors in fractions of an image.

        Which of several equal overlaps wins is left to rounding, so they come from centres and sides in fractions, as
        published.

        Args:
            sizes: height and width of each map.
            device: where they go.
            image: its height and width in pixels.
            padded: height and width it is padded to on its own; no cell beyond takes part in the matching.
        """
        return self._remembered(
            (sizes, device, image, padded, self.allowed_border), lambda: self._of_image(sizes, device, image, padded)
        )

    def _of_image(
        self, sizes: Sizes, device: torch.device, image: tuple[int, int], padded: tuple[int, int]
    ) -> ImagePriors:
        priors = self.in_pixels(sizes, device)
        valid = torch.cat(self.generator.valid_flags(sizes, padded, device=device))
        inside = anchor_inside_flags(priors, valid, image, self.allowed_border)
        size = priors.new_tensor([image[1], image[0]]).repeat(2)
        centres, sides = (priors[:, :2] + priors[:, 2:]) / 2, priors[:, 2:] - priors[:, :2]
        centres, halves = centres / size[:2], sides / size[:2] / 2
        corners = torch.cat([centres - halves, centres + halves], dim=1)
        return ImagePriors(corners.T.contiguous(), None if bool(inside.all()) else inside, size)

    def _remembered(self, key: tuple, build: Callable[[], Any]) -> Any:
        """What ``key`` names; what was asked for longest ago goes when there are too many."""
        kept = self._kept.pop(key, None)
        if kept is None:
            with torch.inference_mode(False), torch.no_grad():
                kept = build()
            self.builds += 1
            while len(self._kept) >= CAPACITY:
                del self._kept[next(iter(self._kept))]
        self._kept[key] = kept
        return kept
