"""Records and tables of measurements that were made up."""

from __future__ import annotations

import json

import pytest

from benchmarks.machine import Settings, commit, machine, peak_tflops
from benchmarks.measure import OURS, PUBLISHED, Case, Measured
from benchmarks.records import Plan, case_record, markdown_table, progress_line

SETTINGS = Settings(config='none', amp=True)
CASE = Case('training step', lambda _: None, modes=('amp', 'compile'))


def measured() -> dict[str, Measured]:
    ours = Measured(4, 8e12, [[0.02, 0.01, 0.03], [0.02, 0.02, 0.02]], memory=3 * 2**20, result=1.0)
    return {OURS: ours, PUBLISHED: Measured(2, 4e12, [[0.1], [0.2]], memory=None, result=1.0005)}


def test_figures() -> None:
    record = case_record('train', CASE, measured(), SETTINGS, Plan(peak=800.0))
    ours = record[OURS]
    assert ours['images_per_second'] == pytest.approx(200.0)
    assert ours['tflops'] == pytest.approx(400.0) and ours['share_of_peak'] == pytest.approx(0.5)
    assert record['ratios'] == pytest.approx([10.0, 20.0])  # 0.05 and 0.1 s an image, ours 0.005
    assert record['same_result'] is None  # bfloat16, and another batch
    assert json.loads(json.dumps(record)) == json.loads(json.dumps(record))


@pytest.mark.parametrize(('result', 'same'), [(1.0005, True), (1.01, False), (None, None)])
def test_results_are_compared_in_float32(result: float | None, same: bool | None) -> None:
    sides = measured()
    sides[PUBLISHED].images, sides[PUBLISHED].result = 4, result
    assert case_record('train', CASE, sides, Settings(config='none'), Plan())['same_result'] is same


def test_a_row() -> None:
    record = case_record('train', CASE, measured(), SETTINGS, Plan(peak=800.0))
    head, _, row = (line.strip('| ').split(' | ') for line in markdown_table([record]).splitlines())
    cells = dict(zip(head, row, strict=False))
    assert cells['what'] == 'training step, amp' and cells['images/s'] == '200'
    assert cells['ms a call (fastest to slowest)'] == '20 (10 to 30)' and cells['peak memory'] == '-'  # the last one
    assert cells['of peak'] == '50%' and cells['TFLOP/s'] == '400' and cells['ratio'] == '15 (10 to 20)'
    assert len(row) == len(head) == 12 and row[6] == '3 MiB'
    assert progress_line(record).endswith('published 150 ms: ratio 15 (10 to 20)')


def test_ours_alone_has_no_columns_of_the_other() -> None:
    record = case_record('train', CASE, {OURS: measured()[OURS]}, SETTINGS, Plan())
    assert len(markdown_table([record]).splitlines()[0].strip('| ').split(' | ')) == 7
    assert 'ratios' not in record and record[OURS]['share_of_peak'] is None


def test_where_it_ran() -> None:
    place = machine(SETTINGS)
    assert place['device'] and place['load'] >= 0 and place['commit'] == commit()
    assert peak_tflops('NVIDIA H200', amp=False) == 495 and peak_tflops('Intel(R) Xeon(R)', amp=True) is None
