"""Pictures for a person who watches a detector: panels beside each other, boxes on them, all BGR uint8."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn

GREEN = (80, 220, 80)
"""Colour of what was found."""
MAGENTA = (220, 80, 255)
"""Colour of the annotated faces; the colour-blind can tell it from :data:`GREEN`."""
WHITE = (255, 255, 255)
HEADER = 28
GAP = 4

Title = Sequence[tuple[str, tuple[int, int, int]]]
"""Pieces of a title, each with its colour."""


def brighten(image: np.ndarray) -> np.ndarray:
    """Stretch an ``(H, W, 3)`` image so that its 99th percentile is white, for a person to see; uint8."""
    white = max(float(np.percentile(image, 99)), 1.0)
    return np.clip(image * (255.0 / white), 0, 255).astype(np.uint8)


def draw_boxes(image: np.ndarray, boxes: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Boxes ``(N, 4)`` on a copy of an ``(H, W, 3)`` uint8 image; lines thin out where faces are small.

    Boxes that reach beyond the image are framed along its border.
    """
    drawn = image.copy()
    border = np.array(image.shape[1::-1] * 2) - 1
    for x1, y1, x2, y2 in np.clip(boxes, 0, border):
        ends = (round(float(x1)), round(float(y1))), (round(float(x2)), round(float(y2)))
        cv2.rectangle(drawn, *ends, colour, 1 if min(x2 - x1, y2 - y1) < 40 else 2)
    return drawn


def draw_detections(image: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Boxes ``(N, 4)`` and their scores ``(N,)`` on a copy of an ``(H, W, 3)`` uint8 image."""
    drawn = draw_boxes(image, boxes, GREEN)
    border = np.array(image.shape[1::-1] * 2) - 1
    for (x1, y1, _, _), score in zip(np.clip(boxes, 0, border), scores, strict=True):
        corner = (round(float(x1)), round(float(y1)))
        (text_width, text_height), _ = cv2.getTextSize(f'{score:.2f}', cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
        top = corner[1] - text_height - 4 if corner[1] > text_height + 4 else corner[1]
        cv2.rectangle(drawn, (corner[0], top), (corner[0] + text_width + 4, top + text_height + 4), GREEN, -1)
        place = (corner[0] + 2, top + text_height + 2)
        cv2.putText(drawn, f'{score:.2f}', place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return drawn


def join_panels(panels: Sequence[tuple[str | Title, np.ndarray]]) -> np.ndarray:
    """Images of equal height beside each other, each under its title, which is made to fit."""
    height = panels[0][1].shape[0]
    columns = []
    for title, image in panels:
        header = np.full((HEADER, image.shape[1], 3), 32, np.uint8)
        _write(header, [(title, WHITE)] if isinstance(title, str) else title)
        columns += [np.vstack([header, image]), np.full((height + HEADER, GAP, 3), 255, np.uint8)]
    return np.hstack(columns[:-1])


def _write(header: np.ndarray, title: Title) -> None:
    """Write the pieces of a title one after the other, as large as they fit."""
    font, left = cv2.FONT_HERSHEY_SIMPLEX, 6
    widths = [cv2.getTextSize(text, font, 0.5, 1)[0][0] for text, _ in title]
    size = 0.5 * min(1.0, (header.shape[1] - 2 * left) / max(sum(widths), 1))
    for (text, colour), width in zip(title, widths, strict=True):
        cv2.putText(header, text, (left, 20), font, size, colour, 1, cv2.LINE_AA)
        left += round(width * size / 0.5)


def pixels_of(image: Tensor) -> np.ndarray:
    """An RGB image in [0, 1], ``(3, H, W)``, as ``(H, W, 3)`` BGR uint8; values beyond are cut."""
    bgr = image.detach().float().clamp(0, 1).flip(0).permute(1, 2, 0)
    return (bgr * 255).round().byte().cpu().numpy()


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
