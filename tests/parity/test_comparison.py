"""Differences as they are reported: relative to the largest golden value, or absolute; never hidden."""

from __future__ import annotations

import numpy as np
import pytest

from parity.comparison import compare, table


def test_relative_to_the_largest_golden_value() -> None:
    one = compare('c', 'q', [0.0, -4.0, 1.0], [0.02, -4.0, 1.01], 1e-2)
    assert one.difference == pytest.approx(0.005) and one.agrees
    assert (one.golden, one.ours) == (0.0, 0.02)
    assert not compare('c', 'q', [0.0, -4.0, 1.0], [0.05, -4.0, 1.0], 1e-2).agrees


def test_absolute() -> None:
    assert compare('c', 'q', [100.0], [100.5], 0.5, absolute=True).agrees
    assert not compare('c', 'q', [0.1], [0.7], 0.5, absolute=True).agrees


@pytest.mark.parametrize('golden', [2.0, [1.0, 2.0], [[1.0], [np.nan]]])
def test_what_is_not_a_number_never_agrees(golden: object) -> None:
    ours = np.array(golden, dtype=float)
    ours.flat[-1] = np.nan
    one = compare('c', 'q', golden, ours, 1e9)
    assert not one.agrees and np.isnan(one.ours)


def test_another_shape_never_agrees() -> None:
    one = compare('c', 'q', np.ones((2, 3)), np.ones((3, 2)), 1e9)
    assert not one.agrees and 'shape (3, 2) instead of (2, 3)' in one.quantity


def test_zero_against_zero_and_nothing_against_nothing() -> None:
    assert compare('c', 'q', 0.0, 0.0, 0.0).agrees and compare('c', 'q', np.ones((0, 5)), np.ones((0, 5)), 0.0).agrees
    assert not compare('c', 'q', 0.0, 1e-9, 1e-3).agrees


def test_table_marks_what_differs() -> None:
    lines = table([compare('c', 'one', 1.0, 1.0, 1e-4), compare('c', 'two', 1.0, 1.1, 1e-4)]).splitlines()
    assert len(lines) == 3 and lines[0].split() == ['case', 'quantity', 'golden', 'ours', 'difference', 'tolerance']
    assert 'DIFFERS' not in lines[1] and lines[2].endswith('DIFFERS')
