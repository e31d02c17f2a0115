"""Check image coordinates and sizes."""

from __future__ import annotations

FARTHEST = 2**31
"""Exclusive upper bound of coordinates in pixels; much larger numbers become infinite in float32."""


def is_place(value: object) -> bool:
    """Whether a value is a valid coordinate or size: a finite number whose absolute value is below :data:`FARTHEST`.

    Example:
        >>> is_place(3.5), is_place('3.5'), is_place(float('nan')), is_place(1e300)
        (True, False, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < FARTHEST
