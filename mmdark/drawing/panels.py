"""Brighten dark images for display, and join images side by side; all images are BGR uint8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from .classes import Colour

WHITE: Colour = (255, 255, 255)
HEADER = 28
GAP = 4
PREVIEW_MEAN = 0.36
"""Target mean of a brightened image in [0, 1], chosen by eye on night photographs."""
LEAST_EXPONENT = 0.4

Title = Sequence[tuple[str, Colour]]
"""Parts of a title, each with its colour."""


class Brightening(NamedTuple):
    """Parameters to brighten a dark image: ``(value / white) ** exponent``, with ``white`` in 0 to 255."""

    white: float
    exponent: float

    @classmethod
    def of(cls, image: np.ndarray) -> Brightening:
        """Choose the brightening of an image ``(H, W, 3)`` with values from 0 to 255.

        The 99th percentile becomes white. The exponent brings the mean to :data:`PREVIEW_MEAN`, but is at most 1
        (linear scaling) and at least :data:`LEAST_EXPONENT`, because smaller exponents show only noise.
        """
        step = max(1, max(image.shape) // 512)
        sample = image[::step, ::step]
        white = max(float(np.percentile(sample, 99)), 1.0)
        return cls(white, _exponent(np.clip(sample / white, 0, 1)))

    def towards(self, other: Brightening, share: float) -> Brightening:
        """Interpolate to another brightening by ``share`` (0 to 1); ``white`` is interpolated geometrically."""
        white = self.white * (other.white / self.white) ** share
        return Brightening(white, self.exponent + share * (other.exponent - self.exponent))

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Brighten an image ``(H, W, 3)`` with values from 0 to 255 and return it as uint8; results are clipped."""
        if image.dtype == np.uint8:
            return cv2.LUT(image, self._lifted(np.arange(256)))
        return self._lifted(image)

    def _lifted(self, values: np.ndarray) -> np.ndarray:
        return np.rint(np.clip(values / self.white, 0, 1) ** self.exponent * 255).astype(np.uint8)


def brighten(image: np.ndarray) -> np.ndarray:
    """Brighten a dark image ``(H, W, 3)`` with values from 0 to 255 for display and return it as uint8."""
    return Brightening.of(image).apply(image)


def _exponent(values: np.ndarray) -> float:
    """Find the exponent that brings the mean of values in [0, 1] to :data:`PREVIEW_MEAN`, within its bounds."""
    low, high = LEAST_EXPONENT, 1.0
    if values.mean() >= PREVIEW_MEAN:
        return high
    for _ in range(8):  # bisection, accurate to better than 0.005
        middle = (low + high) / 2
        low, high = (middle, high) if (values**middle).mean() > PREVIEW_MEAN else (low, middle)
    return low


def join_panels(panels: Sequence[tuple[str | Title, np.ndarray]]) -> np.ndarray:
    """Join images of equal height side by side, each below its title; titles are scaled to fit."""
    height = panels[0][1].shape[0]
    columns = []
    for title, image in panels:
        header = np.full((HEADER, image.shape[1], 3), 32, np.uint8)
        _write(header, [(title, WHITE)] if isinstance(title, str) else title)
        columns += [np.vstack([header, image]), np.full((height + HEADER, GAP, 3), 255, np.uint8)]
    return np.hstack(columns[:-1])


def _write(header: np.ndarray, title: Title) -> None:
    font, left = cv2.FONT_HERSHEY_SIMPLEX, 6
    widths = [cv2.getTextSize(text, font, 0.5, 1)[0][0] for text, _ in title]
    size = 0.5 * min(1.0, (header.shape[1] - 2 * left) / max(sum(widths), 1))
    for (text, colour), width in zip(title, widths, strict=True):
        cv2.putText(header, text, (left, 20), font, size, colour, 1, cv2.LINE_AA)
        left += round(width * size / 0.5)


def tensor_of(image: np.ndarray) -> Tensor:
    """Convert a BGR uint8 image ``(H, W, 3)`` to RGB float32 in [0, 1], ``(3, H, W)``; inverse of :func:`pixels_of`."""
    return torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1).float() / 255.0


def pixels_of(image: Tensor) -> np.ndarray:
    """Convert an RGB image in [0, 1], ``(3, H, W)``, to BGR uint8, ``(H, W, 3)``; values outside are clipped."""
    bgr = image.detach().float().clamp(0, 1).flip(0).permute(1, 2, 0)
    return (bgr * 255).round().byte().cpu().numpy()
