"""DARK FACE's official evaluation (Yang et al., UG2+ 2019; DARKFACE_eval_tools: df_eval.m) without MATLAB.

This is the tool of May 2019 and later. Before, it took the right and the lower edge for a width and a height.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .average_precision import Score
from .matching import checked_rows, match, overlap, score


def evaluate_dark_face(predictions: Mapping[str, np.ndarray], faces: Mapping[str, np.ndarray]) -> Score:
    """Score detections on images without ignored faces.

    As in the official tool: scores are scaled over all detections of the whole set, those on images without faces
    too, but these do not count otherwise; an image without detections leaves its faces unfound; a second detection on a
    face counts as false; scores that are all equal are taken for 1. Images that are not in ``faces`` are ignored. Rows
    may come in any order; those of equal score keep theirs.

    Args:
        predictions: from an image's name to x1 y1 x2 y2 score, shape ``(N, 5)``, pixels of the original image.
        faces: from an image's name to x1 y1 x2 y2, shape ``(M, 4)``.

    Returns:
        Official and exact average precision; NaN where there is no face.

    Raises:
        InputError: a shape is wrong, or a value is not finite.

    Example:
        >>> found = {'1': np.array([[10, 10, 30, 30, 0.9], [50, 50, 60, 60, 0.3]])}
        >>> evaluate_dark_face(found, {'1': np.array([[12, 9, 31, 30]])}).official.average_precision
        1.0
    """
    images = []
    for name, rows in faces.items():
        found = checked_rows(predictions.get(name, ()), 5, f'predictions of {name}')
        images.append((found, checked_rows(rows, 4, f'faces of {name}')))
    num_faces = sum(len(rows) for _, rows in images)
    return score(match(images, overlap), np.ones(num_faces, bool), equal_is_one=True)
