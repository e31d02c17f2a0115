"""Detect predictions in the wrong units, which would give an AP of about 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .matching import found_faces, overlap

CORNERS, SIZES, CENTRES = 'x1 y1 x2 y2', 'x y w h', 'cx cy w h'
_SAMPLE = 500
"""Approximate number of images that are checked."""
_LEAST = 0.1
"""Minimum matched fraction of the predictions in other units, and these must match twice as many faces."""
_LARGEST_FRACTION, _MOST = 1.5, 0.95
"""Boxes are fractions of the image if this quantile is at most 1.5; boxes may extend beyond the image."""

Rows = Mapping[str, np.ndarray]

TO_CORNERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    CORNERS: lambda rows: rows[:, :4],
    SIZES: lambda rows: np.column_stack([rows[:, :2], rows[:, :2] + rows[:, 2:4]]),
    CENTRES: lambda rows: np.column_stack([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2]),
}
"""Units → function that converts rows to corners."""


def unit_hints(predictions: Rows, faces: Rows, units: str) -> list[str]:
    """A list with one line if the rows would match far more faces in other units than in ``units``; otherwise empty.

    Fractions of the image are recognised by small values. For other units, the highest-scored predictions of an image,
    as many as it has faces, are matched to its faces in each of :data:`TO_CORNERS`.

    Args:
        predictions: image → four numbers and a score, shape ``(N, 5)``, by descending score.
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
    """Number of faces, ``(M, 4)``, that the boxes, ``(N, 4)``, match; both are x1 y1 x2 y2."""
    return np.setdiff1d(found_faces(boxes, faces, overlap), [-1]).size
