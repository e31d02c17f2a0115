"""The parity tool: a table, a count, and its exit status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np

from tests.tool_runs import run_tool

ROOT = Path(__file__).resolve().parents[2]


def check(folder: Path) -> CompletedProcess:
    return run_tool('analysis_tools/check_parity', '--golden', folder)


def test_agreement_and_difference(tmp_path: Path) -> None:
    for name in ('box_voting.json', 'box_voting.npz', 'dark_isp.json', 'dark_isp.npz'):
        shutil.copy(ROOT / 'tests' / 'golden' / name, tmp_path)
    done = check(tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[-1] == 'all 40 quantities agree with the published code'
    assert sum(line.startswith('case') for line in lines) == 2 and not any('DIFFERS' in line for line in lines)

    record = json.loads((tmp_path / 'box_voting.json').read_text())
    record[0]['kept'][0] += 1
    (tmp_path / 'box_voting.json').write_text(json.dumps(record))
    arrays = dict(np.load(tmp_path / 'dark_isp.npz'))
    np.savez(tmp_path / 'dark_isp.npz', **{**arrays, 'clean_0': arrays['clean_0'] + np.float32(1e-3)})
    done = check(tmp_path)
    assert done.returncode == 1
    assert sum(line.endswith('DIFFERS') for line in done.stdout.splitlines()) == 2
    assert done.stderr.strip() == '2 of 40 quantities differ from the published code by more than the tolerance'


def test_an_empty_folder_is_no_agreement(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert done.returncode == 1 and done.stderr.startswith('error: ') and 'holds no golden case' in done.stderr
