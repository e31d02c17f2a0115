"""One quantity, the authors' number and ours; and a table of many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Comparison:
    """A golden quantity beside ours.

    Attributes:
        case: name of the golden case.
        quantity: what is compared.
        golden: the golden number; of an array the one where both differ most.
        ours: our number at the same place.
        difference: between them, relative unless ``absolute``; infinite where the shapes differ.
        tolerance: the largest difference that is accepted.
        absolute: whether the difference is absolute (pixels, image values).
    """

    case: str
    quantity: str
    golden: float
    ours: float
    difference: float
    tolerance: float
    absolute: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance; what is not a number never is."""
        return bool(self.difference <= self.tolerance)


def compare(
    case: str, quantity: str, golden: ArrayLike, ours: ArrayLike, tolerance: float, absolute: bool = False
) -> Comparison:
    """Compare two numbers, or two arrays by their largest difference, relative to the largest golden value.

    Example:
        >>> compare('case', 'loss', golden=2.0, ours=2.1, tolerance=1e-4).agrees
        False
    """
    ours = ours.detach().cpu() if isinstance(ours, torch.Tensor) else ours
    golden, ours = np.asarray(golden, dtype=np.float64), np.asarray(ours, dtype=np.float64)
    if golden.shape != ours.shape:
        label = f'{quantity}: shape {ours.shape} instead of {golden.shape}'
        return Comparison(case, label, np.nan, np.nan, np.inf, tolerance, absolute)
    if not golden.size:
        return Comparison(case, f'{quantity} (none)', np.nan, np.nan, 0.0, tolerance, absolute)
    distance = np.abs(ours - golden)
    worst = np.unravel_index(np.argmax(np.where(np.isnan(distance), np.inf, distance)), distance.shape)
    scale = 1.0 if absolute else max(np.abs(golden).max(), np.finfo(np.float32).tiny)
    label = f'{quantity} {golden.shape}' if golden.ndim else quantity
    return Comparison(
        case, label, float(golden[worst]), float(ours[worst]), float(distance[worst] / scale), tolerance, absolute
    )


def table(comparisons: Iterable[Comparison]) -> str:
    """The comparisons as text in columns, one line each; what disagrees is marked ``DIFFERS``."""
    head = ('case', 'quantity', 'golden', 'ours', 'difference', 'tolerance', '')
    rows = [
        (
            c.case,
            c.quantity,
            f'{c.golden:.7g}',
            f'{c.ours:.7g}',
            f'{c.difference:.1e}{" abs" if c.absolute else ""}',
            f'{c.tolerance:.0e}',
            '' if c.agrees else 'DIFFERS',
        )
        for c in comparisons
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    justify = (str.ljust, str.ljust, str.rjust, str.rjust, str.rjust, str.rjust, str.ljust)
    return '\n'.join(
        '  '.join(place(text, width) for place, text, width in zip(justify, row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )
