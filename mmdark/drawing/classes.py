"""Names and counts of a detector's objects for display, and the colour of each class."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence

Colour = tuple[int, int, int]
"""Blue, green and red, each from 0 to 255."""

GREEN: Colour = (70, 240, 90)
"""Colour of detections if there is a single class."""
FACE = ('face',)
"""Class names of a face detector."""


def name_of(label: int, class_names: Sequence[str]) -> str:
    """The name of a class, or its number if it has no name."""
    return class_names[label] if label < len(class_names) else str(label)


def noun_of(class_names: Sequence[str]) -> str:
    """The noun for one detection: the class name if there is one class, else ``object``."""
    return class_names[0] if len(class_names) == 1 else 'object'


def plural_of(noun: str) -> str:
    """The plural of a noun: ``faces``, ``buses``."""
    return noun + ('es' if noun.endswith(('s', 'x', 'ch', 'sh')) else 's')


def counted(number: int, noun: str) -> str:
    """The number and the noun: ``1 face``, ``2 faces``."""
    return f'{number} {noun if number == 1 else plural_of(noun)}'


def counted_classes(counts: Mapping[int, int], class_names: Sequence[str]) -> str:
    """The total, such as ``2 faces``, and with several classes the count of each; ``counts`` maps labels to counts.

    Example:
        >>> counted_classes({2: 2, 0: 1}, ('dog', 'cat', 'bus'))
        '3 objects (1 dog, 2 bus)'
    """
    total = counted(sum(counts.values()), noun_of(class_names))
    if len(class_names) == 1 or not counts:
        return total
    each = ', '.join(f'{counts[label]} {name_of(label, class_names)}' for label in sorted(counts))
    return f'{total} ({each})'


def colour_of(label: int, num_classes: int) -> Colour:
    """The colour of a class: :data:`GREEN` if it is the only one, else hues spaced by the golden ratio."""
    if num_classes == 1:
        return GREEN
    red, green, blue = colorsys.hsv_to_rgb((1 / 3 + label * 0.618034) % 1, 0.7, 0.95)
    return round(255 * blue), round(255 * green), round(255 * red)
