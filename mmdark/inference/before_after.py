"""The picture of a photograph: the objects drawn, where it is dark on a brightened copy beside it."""

from __future__ import annotations

import numpy as np

from mmdark.drawing import GAP, Brightening, draw_faces, noun_of, plural_of
from mmdark.errors import InputError

from .result import DetectionResult

DARK_BELOW = 64.0
"""Mean of all values, 0 to 255, below which a photograph is dark.

Measured on 1129 photographs of WIDER FACE, and on the same darkened by DarkISP (``corrected``, one seed each): 0.6 % of
the dark ones count as day, 5.5 % of the others as dark, many of which were taken at night or on a stage. At 60 the sum
of both errors is smallest (1.4 and 3.9 %), but a missing preview is worse than one too many.
"""


def is_dark(image: np.ndarray) -> bool:
    """Whether the mean of an image ``(H, W, 3)`` BGR uint8 is below :data:`DARK_BELOW`."""
    step = max(1, max(image.shape) // 512)
    return float(image[::step, ::step].mean()) < DARK_BELOW


def before_after(image: np.ndarray, result: DetectionResult, brightening: Brightening | None = None) -> np.ndarray:
    """The image ``(H, W, 3)`` BGR uint8, a white gap, and the image brightened with its objects: ``(H, 2 W + GAP, 3)``.

    Raises:
        InputError: the result belongs to an image of another size.
    """
    after = _with_faces(image, (brightening or Brightening.of(image)).apply(image), result)
    return np.hstack([image, np.full((len(image), GAP, 3), 255, np.uint8), after])


def picture_of(
    image: np.ndarray, result: DetectionResult, dark: bool | None = None, brightening: Brightening | None = None
) -> np.ndarray:
    """:func:`before_after` of a dark image, else the image with its objects; ``dark=None`` asks :func:`is_dark`."""
    if is_dark(image) if dark is None else dark:
        return before_after(image, result, brightening)
    return _with_faces(image, image, result)


def _with_faces(image: np.ndarray, shown: np.ndarray, result: DetectionResult) -> np.ndarray:
    if image.shape[:2] != (result.height, result.width):
        nouns = plural_of(noun_of(result.class_names))
        raise InputError(
            f'{result.source}: its {nouns} were found on {result.width} x {result.height} pixels, but the image has '
            f'{image.shape[1]} x {image.shape[0]}: give the image that was looked at'
        )
    return draw_faces(shown, result.boxes, result.scores, classes=result.labels, class_names=result.class_names)
