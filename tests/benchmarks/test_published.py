"""A checkout of the published code: recognised, loaded with what it lacks, measured."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from benchmarks.isp import CASES
from benchmarks.machine import Settings
from benchmarks.measure import OURS, PUBLISHED, measure, ratios
from benchmarks.published import FILES, check_checkout
from mmdark.errors import InputError
from tests.benchmarks.noted_work import write_checkout

SLEEP = 0.4
SIZE = 48


def test_a_checkout_is_recognised(tmp_path: Path) -> None:
    assert check_checkout(str(write_checkout(tmp_path, SIZE, SLEEP))) == tmp_path.resolve()
    last = tmp_path / list(FILES)[-1]
    last.write_text('nothing = 0\n')
    with pytest.raises(InputError, match=r'utils/DarkISP.py defines no Low_Illumination_Degrading'):
        check_checkout(str(tmp_path))
    last.unlink()
    with pytest.raises(InputError, match=r'utils/DarkISP.py is not there; name a folder that git clone'):
        check_checkout(str(tmp_path))


def test_dark_isp_beside_a_slow_one(tmp_path: Path) -> None:
    """It imports packages that are not there, and calls ``.cuda()`` on a CPU."""
    checkout = write_checkout(tmp_path, SIZE, SLEEP)
    builds = {OURS: CASES[0].ours, PUBLISHED: partial(CASES[0].published, checkout=checkout)}
    sides = measure(builds, Settings(config='none', size=SIZE), repeats=1, runs=1)
    assert sides[PUBLISHED].seconds >= SLEEP
    (ratio,) = ratios(sides)
    assert ratio == pytest.approx(sides[PUBLISHED].seconds / sides[OURS].seconds)
