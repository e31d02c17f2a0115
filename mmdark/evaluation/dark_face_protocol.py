"""DARK FACE's official evaluation (Yang et al., UG2+ 2019; DARKFACE_eval_tools: df_eval.m) without MATLAB.

This follows the tool of May 2019 and later. Earlier versions used the right and the lower edge as width and height.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .average_precision import Score
from .matching import checked_rows, match, overlap, score


def evaluate_dark_face(predictions: Mapping[str, np.ndarray], faces: Mapping[str, np.ndarray]) -> Score:
    """Evaluate detections on images without ignored faces.

    As in the official tool: scores are normalised over all detections of the data set; detections on images without
    faces are only used for this; the faces of an image without detections are false negatives; a second detection of a
    face is a false positive; scores that are all equal become 1. Images that are not in ``faces`` are ignored. Rows may
    be in any order; rows of equal score keep their order.

    Args:
        predictions: image name → x1 y1 x2 y2 score, shape ``(N, 5)``, pixels of the original image.
        faces: image name → x1 y1 x2 y2, shape ``(M, 4)``.

    Returns:
        Official and exact average precision; NaN if there is no face.

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
