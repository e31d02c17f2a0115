"""Whether predictions were written in other units than the format's, which scores them 0 without a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .matching import found_faces, overlap

CORNERS, SIZES, CENTRES = 'x1 y1 x2 y2', 'x y w h', 'cx cy w h'
_SOME = 500
"""Images that are looked at."""
_LEAST = 0.1
"""Part of the predictions that must find a face as read otherwise; they must be twice those of the format's reading."""
_LARGEST_FRACTION, _MOST = 1.5, 0.95
"""A fraction may be above 1, as a box may end beyond its image; this part of them is below the first number."""

Rows = Mapping[str, np.ndarray]


def _from_sizes(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])


def _from_centres(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2])


READINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    CORNERS: lambda rows: rows[:, :4],
    SIZES: _from_sizes,
    CENTRES: _from_centres,
}
"""What four numbers may mean, and the corners that they are then."""


def unit_hints(predictions: Rows, faces: Rows, units: str) -> list[str]:
    """A line where the numbers would find far more faces as something else than the format's ``units``; else none.

    Fractions of the image are told by their size. For all else, the best predictions of an image, as many as it has
    faces, are matched with these as each of :data:`READINGS`.

    Args:
        predictions: image → four numbers and a score, shape ``(N, 5)``, as read, by falling score.
        faces: image → four numbers in ``units``, shape ``(M, 4)``, pixels.
        units: a key of :data:`READINGS`.

    Example:
        >>> unit_hints({'a': np.array([[320.0, 225, 40, 50, 0.9]])}, {'a': np.array([[300.0, 200, 340, 250]])}, CORNERS)
        ['read as cx cy w h the rows would find 1 of 1 faces, as x1 y1 x2 y2 they find 0: write x1 y1 x2 y2, in pixels']
    """
    names = [name for name, boxes in faces.items() if len(boxes) and len(predictions.get(name, ()))]
    names = names[:: max(1, len(names) // _SOME)]
    images = [(np.asarray(predictions[name], float)[: len(faces[name])], faces[name].astype(float)) for name in names]
    if not images:
        return []
    if np.quantile(np.abs(np.concatenate([rows[:, :4] for rows, _ in images])), _MOST) <= _LARGEST_FRACTION:
        return [f'all boxes lie between 0 and 1, as fractions of the image do: write {units}, in pixels']
    number = {
        reading: sum(_num_found(read(rows), READINGS[units](boxes)) for rows, boxes in images)
        for reading, read in READINGS.items()
    }
    best = max(number, key=number.__getitem__)
    enough = _LEAST * sum(len(rows) for rows, _ in images)
    if number[best] <= max(2 * number[units], enough):
        return []
    total = sum(len(boxes) for _, boxes in images)
    return [
        f'read as {best} the rows would find {number[best]} of {total} faces, as {units} they find {number[units]}: '
        f'write {units}, in pixels'
    ]


def _num_found(boxes: np.ndarray, faces: np.ndarray) -> int:
    """How many faces, ``(M, 4)``, the boxes, ``(N, 4)``, find; both are x1 y1 x2 y2."""
    return np.setdiff1d(found_faces(boxes, faces, overlap), [-1]).size
