"""Which numbers can be places in an image."""

from __future__ import annotations

FARTHEST = 2**31
"""Pixels; a number from here on is no place in an image, and one far beyond is infinite in single precision."""


def is_place(value: object) -> bool:
    """Whether a value is a number that can be a place or a size in an image: finite, and below :data:`FARTHEST`.

    Example:
        >>> is_place(3.5), is_place('3.5'), is_place(float('nan')), is_place(1e300)
        (True, False, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < FARTHEST
