"""Ours beside the authors' numbers: the cases in the repository always, the whole ones where they are at hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mmdark.errors import InputError
from parity.check import CHECKS, check_parity
from parity.golden import golden_cases
from parity.networks import named_losses

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / 'tests' / 'golden'
WHOLE = ROOT.parent / 'shared' / 'golden'
FOLDERS = [
    SMALL,
    pytest.param(
        WHOLE, marks=pytest.mark.skipif(not WHOLE.is_dir(), reason=f'the whole golden cases are not at {WHOLE}')
    ),
]


@pytest.mark.parametrize('folder', FOLDERS, ids=['small', 'whole'])
@pytest.mark.parametrize('prefix', CHECKS)
def test_agrees_with_the_published_code(folder: Path, prefix: str) -> None:
    if (folder, prefix) == (WHOLE, 'trajectory_'):  # the small one is whole
        (small_case,), (whole_case,) = (golden_cases(each, prefix) for each in (SMALL, WHOLE))
        assert whole_case.record == small_case.record
        return
    comparisons = [one for case in golden_cases(folder, prefix) for one in CHECKS[prefix](case)]
    assert [one for one in comparisons if not one.agrees] == []
    small = {'dainet_': 2 * 198 + 3, 'dsfd_': 5 * 4, 'trajectory_': 24, 'dark_isp': 16, 'box_voting': 24}
    whole = {**small, 'dainet_': 198 + 14 + 3, 'dsfd_': 2 * (4 + 6)}
    assert len(comparisons) >= (small if folder == SMALL else whole)[prefix]


def test_every_golden_case_has_a_check() -> None:
    names = {path.stem for path in SMALL.glob('*.json')}
    assert len(names) == 10
    assert all(any(name.startswith(prefix) for prefix in CHECKS) for name in names)


def spoilt(folder: Path, stem: str) -> Path:
    """A copy of one small case, to be changed."""
    for path in SMALL.glob(f'{stem}.*'):
        shutil.copy(path, folder)
    return folder


def test_another_kept_count_differs(tmp_path: Path) -> None:
    path = spoilt(tmp_path, 'box_voting') / 'box_voting.json'
    records = json.loads(path.read_text())
    records[1]['kept'][3] += 1
    path.write_text(json.dumps(records))
    (wrong,) = (one for one in check_parity(tmp_path) if not one.agrees)
    assert wrong.quantity == '540x960 boxes kept in each group (5,)' and wrong.golden == wrong.ours + 1


@pytest.mark.parametrize(('name', 'by'), [('noisy_1', 2e-5), ('clean_2', -2e-5)])
def test_another_dark_pixel_differs(tmp_path: Path, name: str, by: float) -> None:
    path = spoilt(tmp_path, 'dark_isp') / 'dark_isp.npz'
    arrays = dict(np.load(path))
    arrays[name][2, 3, 4] += by
    np.savez(path, **arrays)
    wrong = [one for one in check_parity(tmp_path) if not one.agrees]
    assert len(wrong) == (3 if name.startswith('noisy') else 1)
    assert all(name in one.quantity and one.golden == pytest.approx(one.ours + by, abs=1e-5) for one in wrong)


def test_the_total_is_the_sum_under_published_names() -> None:
    ours = {f'pal{shot}_loss_{kind}': [1.0, 2.0] for shot in (1, 2) for kind in ('bbox', 'cls')}
    dark = ('decomposition', 'mutual', 'consistency', 'reconstruction', 'smoothness', 'coherence')
    ours |= {f'loss_{name}': 10.0**power for power, name in enumerate(dark, start=1)}
    named = named_losses(ours)
    assert named['total'] == 12 + 1111110 and named['enhance'] == 1111000
    assert (named['decomposition'], named['mutual'], named['conf_pal2']) == (10, 100, 3)


@pytest.mark.parametrize(
    ('name', 'content', 'said'),
    [
        (None, b'', 'holds no golden case'),
        ('dark_isp_3.json', b'{', 'cannot be read'),
        ('dark_isp.npz', b'', 'cannot be read'),
        ('box_voting.npz', b'PK', 'cannot be read'),
        ('dainet_x.json', b'{}', "golden case dainet_x in .* lacks 'seed'"),
        ('dsfd_vgg19_1.json', b'{"seed": 1}', "lacks 'vgg19', or names a strange model"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, name: str | None, content: bytes, said: str) -> None:
    if name:
        if name.endswith('npz'):
            spoilt(tmp_path, name.removesuffix('.npz'))
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as raised:
        list(check_parity(tmp_path))
    assert '\n' not in str(raised.value) and str(tmp_path) in str(raised.value)
    with pytest.raises(InputError, match='is no folder'):
        list(check_parity(tmp_path / 'nowhere'))
