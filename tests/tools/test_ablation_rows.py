"""The table of trainings: what is averaged, what is not, and that it says so."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from ablation_table import markdown_table, table_rows
from run_log import RunLog, read_run

from mmdark.errors import InputError
from tests.tiny_runs import settings, train_line, val_line, write_run, write_start

DARK, DAY = 'dark/wider/AP', 'day/wider/AP'


def run(folder: Path, name: str, dark: list[float], seed: int | None = 0, **more: object) -> RunLog:
    """One that ends after its last score."""
    work_dir = folder / f'{name}_{len(list(folder.iterdir()))}'
    scores = [{'day': 0.9, 'dark': score} for score in dark]
    return read_run(write_run(work_dir, name, scores, seed, **{'max_epochs': len(dark), **more}))


def cells(text: str) -> dict[str, list[str]]:
    """config → cells of its row."""
    rows = [line.strip('| ').split(' | ') for line in text.splitlines() if line.startswith('|')]
    assert len({len(row) for row in rows}) == 1
    return {row[0]: row[1:] for row in rows if row[0] not in ('config', '---')}


def table(runs: list[RunLog], reference: str | None = None, **options: object) -> str:
    return markdown_table(*table_rows(runs, **options), reference=reference)


def test_means_spreads_and_differences(tmp_path: Path) -> None:
    three, two, one = [0.5, 0.52, 0.57], [0.3, 0.4], [0.25]
    runs = [run(tmp_path, 'other', [0.0, score], seed) for seed, score in enumerate(two)]
    runs += [run(tmp_path, 'main', [0.0, score], seed) for seed, score in enumerate(three)]
    runs += [run(tmp_path, 'last', [0.0, score], seed) for seed, score in enumerate(one)]
    text = table(runs, 'main', metrics=[DARK])
    mean, deviation = np.mean(three), np.std(three, ddof=1)
    found = cells(text)
    assert list(found) == ['main', 'other', 'last']
    assert found['main'] == ['3', '2 epochs', f'{mean:.4f} ± {deviation:.4f}']
    assert found['other'] == ['2', '2 epochs', f'{np.mean(two):.4f} [0.3000, 0.4000] ({np.mean(two) - mean:+.4f})']
    assert found['last'] == ['1', '2 epochs', f'0.2500 ({0.25 - mean:+.4f})']
    assert 'sample standard deviation' in text and 'difference to main' in text
    assert not [line for line in text.splitlines() if line.startswith('- ')]
    assert not [cell for row in cells(table(runs, metrics=[DARK])).values() for cell in row if '(' in cell]


def test_every_ap_is_a_column_unless_others_are_asked_for(tmp_path: Path) -> None:
    scores = {
        f'{part}/wider/{kind}AP': 0.1 for part in ('day', 'dark') for kind in ('', 'easy_', 'hard_', 'easy_exact_')
    }
    lines = [train_line(1), {**scores, 'dark/pal2_loss': 3.0, 'time': 1.0, 'step': 1}]
    write_start(tmp_path, '20260101_000000', lines, settings(max_epochs=1))
    _, metrics, _ = table_rows([read_run(tmp_path)])
    assert metrics == [name for name in scores if 'exact' not in name]
    assert table_rows([read_run(tmp_path)], ['dark/pal2_loss'])[1] == ['dark/pal2_loss']
    with pytest.raises(InputError, match=r'no run has dark/AP in its log, which knows .*dark/pal2_loss.*--metric'):
        table_rows([read_run(tmp_path)], ['dark/AP'])


def test_the_last_or_the_best_validation(tmp_path: Path) -> None:
    """The best by dark AP, also for what is shown of the day."""
    scores = [
        {'dark': 0.2, 'day': 0.5},
        {'dark': 0.6, 'day': 0.7},
        {'dark': math.nan, 'day': 0.4},
        {'dark': 0.3, 'day': 0.9},
    ]
    runs = [read_run(write_run(tmp_path / 'a', 'main', scores, max_epochs=4))]
    assert cells(table(runs, metrics=[DAY, DARK]))['main'][2:] == ['0.9000', '0.3000']
    assert cells(table(runs, metrics=[DAY, DARK], best=True))['main'][2:] == ['0.7000', '0.6000']
    hooks = {'checkpoint': {'save_best': DARK, 'rule': 'less'}}
    runs = [read_run(write_run(tmp_path / 'b', 'main', [*scores[:2], scores[3]], default_hooks=hooks))]
    assert cells(table(runs, metrics=[DARK], best=True))['main'][2:] == ['0.2000']


def test_what_cannot_be_averaged_is_left_out_and_named(tmp_path: Path) -> None:
    good = [run(tmp_path, 'main', [0.1, 0.5], seed) for seed in (0, 1)]
    unfinished = run(tmp_path, 'main', [0.9], seed=2, max_epochs=2)
    again = run(tmp_path, 'main', [0.1, 0.9], seed=1)
    drawn = [run(tmp_path, 'main', [0.1, 0.5], seed=None) for _ in range(2)]
    blind = run(tmp_path, 'blind', [math.nan], seed=0)
    text = table([*good, unfinished, again, *drawn, blind], 'main', metrics=[DARK])
    assert cells(text) == {'main': ['4', '2 epochs', '0.5000 ± 0.0000'], 'blind': ['1', '1 epoch !', '-']}
    assert f'- {unfinished.work_dir}: unfinished, at epoch 1, iteration 4; left out' in text
    assert f'- {again.work_dir}: seed 1 once more; left out' in text
    assert f'- blind: {DARK} is in 0 of 1 runs' in text
    assert 'another length than main' in text
    (row,) = cells(table([unfinished], metrics=[DARK])).values()
    assert row == ['0', '-', '-']


def test_a_metric_that_some_runs_lack_says_of_how_many_it_is(tmp_path: Path) -> None:
    both = read_run(write_run(tmp_path / 'a', 'main', [{'day': 0.5, 'dark': 0.5}], seed=0, max_epochs=1))
    dark = read_run(write_run(tmp_path / 'b', 'main', [{'dark': 0.7}], seed=1, max_epochs=1))
    text = table([both, dark], metrics=[DAY, DARK])
    assert cells(text)['main'] == ['2', '1 epoch', '0.5000 of 1', '0.6000 [0.5000, 0.7000]']
    assert f'- main: {DAY} is in 1 of 2 runs' in text


def test_runs_cut_at_iterations_of_unequal_length_are_not_averaged(tmp_path: Path) -> None:
    """By epochs the same recipe takes fewer iterations on more GPUs; that is the same length."""

    def trained(name: str, seed: int, iterations: int, **limits: int | None) -> RunLog:
        lines = [{**train_line(i), 'epoch': 1} for i in range(1, iterations + 1)]
        cfg = settings(seed, train_cfg=limits)
        write_start(tmp_path / name, '20260101_000000', [*lines, val_line(1, dark=0.5)], cfg)
        return read_run(tmp_path / name)

    by_epochs = [trained(f'gpus_{n}', n, 8 // n, max_epochs=1, max_iters=None) for n in (1, 2)]
    assert cells(table(by_epochs))['dsfd_dark_wider'][:2] == ['2', '1 epoch']
    cut = [trained(f'cut_{i}', i, length, max_epochs=1, max_iters=4) for i, length in enumerate((4, 4, 3))]
    text = table(cut)
    assert cells(text)['dsfd_dark_wider'][:2] == ['2', '4 iterations']
    assert f'- {cut[2].work_dir}: trained for 1 epoch, others of its config for 4 iterations; left out' in text


def test_runs_of_one_config_with_other_settings_are_rows_of_their_own(tmp_path: Path) -> None:
    """The place of the data, the seed and a resume are no settings."""
    optim = {'optim_wrapper': {'lr': 0.1}}
    same = {'log_level': 'INFO', 'resume': True, 'train_dataloader': {'num_workers': 2}}
    less = {'log_level': 'ERROR', 'train_dataloader': {'num_workers': 8}}
    runs = [run(tmp_path, 'main', [0.5], 0, **optim, **same), run(tmp_path, 'main', [0.7], 1, **optim, **less)]
    runs += [run(tmp_path, 'main', [0.2], 0, optim_wrapper={'lr': 0.2}, **less)]
    found = cells(table(runs, metrics=[DARK]))
    assert found == {
        'main': ['2', '1 epoch', '0.6000 [0.5000, 0.7000]'],
        'main [optim_wrapper.lr=0.2]': ['1', '1 epoch', '0.2000'],
    }


def test_a_run_preempted_in_its_last_validation_counts(tmp_path: Path) -> None:
    cfg = settings(0, train_cfg={'max_epochs': 99, 'max_iters': 4})
    write_start(tmp_path, '20260101_000000', [train_line(i) for i in range(1, 5)], cfg)
    write_start(tmp_path, '20260102_000000', [val_line(1, dark=0.5)], cfg)
    text = table([read_run(tmp_path)], metrics=[DARK])
    assert cells(text)['dsfd_dark_wider'] == ['1', '4 iterations', '0.5000'] and 'left out' not in text


def test_an_unknown_reference_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='--reference nobody: no such row; there are main'):
        table([run(tmp_path, 'main', [0.5])], 'nobody')
