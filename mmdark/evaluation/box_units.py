"""A hint where predictions are in other units than the format's, which scores them about 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .matching import found_faces, overlap

CORNERS, SIZES, CENTRES = 'x1 y1 x2 y2', 'x y w h', 'cx cy w h'
_SAMPLE = 500
"""Images that are compared."""
_LEAST = 0.1
"""Fraction of the predictions that must find a face in other units; they must be twice those of the format's units."""
_LARGEST_FRACTION, _MOST = 1.5, 0.95
"""A fraction may exceed 1, since a box may end beyond its image; this part of them is below the first number."""

Rows = Mapping[str, np.ndarray]

TO_CORNERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    CORNERS: lambda rows: rows[:, :4],
    SIZES: lambda rows: np.column_stack([rows[:, :2], rows[:, :2] + rows[:, 2:4]]),
    CENTRES: lambda rows: np.column_stack([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2]),
}
"""Units of four numbers, and the corners that they mean."""


def unit_hints(predictions: Rows, faces: Rows, units: str) -> list[str]:
    """One line where the rows would find far more faces in other units than in ``units``; otherwise none.

    The size of the numbers tells fractions of the image. For other units, the best predictions of an image, as many as
    it has faces, are matched with these in each of :data:`TO_CORNERS`.

    Args:
        predictions: image → four numbers and a score, shape ``(N, 5)``, by falling score.
        faces: image → four numbers in ``units``, shape ``(M, 4)``, pixels.
        units: a key of :data:`TO_CORNERS`.

    Example:
        >>> unit_hints({'a': np.array([[320.0, 225, 40, 50, 0.9]])}, {'a': np.array([[300.0, 200, 340, 250]])}, CORNERS)
        ['as cx cy w h the rows would find 1 of 1 faces, as x1 y1 x2 y2 they find 0: write x1 y1 x2 y2, in pixels']
    """
    names = [name for name, boxes in faces.items() if len(boxes) and len(predictions.get(name, ()))]
    names = names[:: max(1, len(names) // _SAMPLE)]
    images = [(predictions[name][: len(faces[name])], faces[name].astype(float)) for name in names]
    if not images:
        return []
    rows = np.concatenate([rows[:, :4] for rows, _ in images])
    if np.quantile(np.abs(rows), _MOST) <= _LARGEST_FRACTION:
        return [f'all boxes are between 0 and 1, as fractions of the image are: write {units}, in pixels']
    number = {
        other: sum(_num_found(to_corners(rows), TO_CORNERS[units](boxes)) for rows, boxes in images)
        for other, to_corners in TO_CORNERS.items()
    }
    best = max(number, key=number.__getitem__)
    if number[best] <= max(2 * number[units], _LEAST * len(rows)):
        return []
    total = sum(len(boxes) for _, boxes in images)
    return [
        f'as {best} the rows would find {number[best]} of {total} faces, as {units} they find {number[units]}: '
        f'write {units}, in pixels'
    ]


def _num_found(boxes: np.ndarray, faces: np.ndarray) -> int:
    """How many faces, ``(M, 4)``, the boxes, ``(N, 4)``, find; both are x1 y1 x2 y2."""
    return np.setdiff1d(found_faces(boxes, faces, overlap), [-1]).size
