"""A training is read back from its work directory, however often it was killed and resumed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from run_log import read_run

from mmdark.errors import InputError
from tests.tiny_runs import settings, train_line, val_line, write_run, write_start


def test_a_run_from_beginning_to_end(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, 'dsfd_dark_wider_no-mutual', [{'dark': 0.1}, {'dark': 0.2}, {'dark': 0.3}], 7))
    assert (run.name, run.seed, run.iterations, run.epochs, run.finished) == (
        'dsfd_dark_wider_no-mutual',
        7,
        12,
        3,
        True,
    )
    assert [line['iter'] for line in run.train] == list(range(1, 13))
    assert [line['epoch'] for line in run.train] == [1] * 4 + [2] * 4 + [3] * 4
    assert run.val == tuple(
        {'dark/wider/AP': score, 'epoch': epoch, 'iter': 4 * epoch} for epoch, score in ((1, 0.1), (2, 0.2), (3, 0.3))
    )


def test_a_resumed_run_takes_back_what_was_lost(tmp_path: Path) -> None:
    """Killed at iteration 7, resumed from the checkpoint of iteration 3: 4 to 7 and the validation are done again."""
    first = [*(train_line(i, loss=1) for i in range(1, 5)), val_line(1, dark=0.1), *(train_line(i) for i in (5, 6, 7))]
    write_start(tmp_path, '20260101_000000', first, settings(load_from='start.pth'))
    again = [train_line(4, loss=2), val_line(1, dark=0.9), *(train_line(i, loss=2) for i in range(5, 13))]
    resumed = settings(resume=True, load_from='iter_3.pth')
    write_start(tmp_path, '20260102_000000', [*again, val_line(3, dark=0.8)], resumed)
    run = read_run(tmp_path)
    assert [(line['iter'], line['loss']) for line in run.train] == [(i, 1 if i < 4 else 2) for i in range(1, 13)]
    assert [(line['epoch'], line['dark/wider/AP']) for line in run.val] == [(1, 0.9), (3, 0.8)]
    assert run.finished and run.config.load_from == 'start.pth'


def test_a_run_resumed_at_the_end_of_an_epoch_validates_again(tmp_path: Path) -> None:
    first = [*(train_line(i) for i in range(1, 5)), val_line(1, dark=0.1), train_line(5), train_line(6)]
    write_start(tmp_path, '20260101_000000', first, settings())
    write_start(tmp_path, '20260102_000000', [val_line(1, dark=0.2), train_line(5, loss=3)], settings(resume=True))
    run = read_run(tmp_path)
    assert [line['iter'] for line in run.train] == [1, 2, 3, 4, 5] and run.train[-1]['loss'] == 3
    assert run.val == ({'dark/wider/AP': 0.2, 'epoch': 1, 'iter': 4},)


@pytest.mark.parametrize('noted', [True, False])
@pytest.mark.parametrize('limits', [{'max_epochs': 3}, {'max_epochs': 99, 'max_iters': 11}], ids=['epochs', 'cut'])
def test_a_start_that_only_validated_completes_the_run(tmp_path: Path, limits: dict[str, int], noted: bool) -> None:
    """Preempted in its last validation; ``--resume`` was not in the config that mmdark 1.0 wrote beside the log."""
    last = limits.get('max_iters', 12)
    first = [train_line(i) for i in range(1, last + 1)]
    first = [*first[:4], val_line(1, dark=0.1), *first[4:8], val_line(2, dark=0.2), *first[8:]]
    write_start(tmp_path, '20260101_000000', first, settings(train_cfg=limits))
    assert not read_run(tmp_path).finished
    resumed = settings(train_cfg=limits, **({'resume': True, 'load_from': f'iter_{last}.pth'} if noted else {}))
    write_start(tmp_path, '20260102_000000', [val_line(3, dark=0.3)], resumed)
    run = read_run(tmp_path)
    assert run.finished and (run.iterations, run.epochs) == (last, 3)
    assert [line['iter'] for line in run.train] == list(range(1, last + 1))
    assert [(line['iter'], line['dark/wider/AP']) for line in run.val] == [(4, 0.1), (8, 0.2), (last, 0.3)]


def test_a_run_begun_anew_forgets_the_one_before(tmp_path: Path) -> None:
    write_run(tmp_path, 'dsfd_dark_wider', [{'dark': 0.1}, {'dark': 0.2}, {'dark': 0.3}])
    write_start(tmp_path, '20260102_000000', [train_line(2)], settings(seed=5))
    run = read_run(tmp_path)
    assert ([line['iter'] for line in run.train], run.val, run.seed, run.finished) == ([2], (), 5, False)


@pytest.mark.parametrize('cut', [1, 20, 45])
def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path, cut: int) -> None:
    file = write_start(tmp_path, '20260101_000000', [train_line(1), train_line(2)], settings())
    file.write_bytes(file.read_bytes()[:-cut])
    assert [line['iter'] for line in read_run(tmp_path).train] == ([1, 2] if cut == 1 else [1])


def test_a_line_that_is_damaged_in_the_middle_is_named(tmp_path: Path) -> None:
    file = write_start(tmp_path, '20260101_000000', [train_line(1), train_line(2), train_line(3)], settings())
    file.write_bytes(file.read_bytes().replace(b'"iter": 2', b'"iter" 2'))
    with pytest.raises(InputError, match=rf'{re.escape(str(file))}, line 2 '):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ('iterations', 'validated', 'finished'),
    [(8, [1, 2], False), (12, [1, 2], False), (12, [1, 2, 3], True), (12, [], False)],
)
def test_by_epochs_a_run_is_finished_after_its_last_validation(
    tmp_path: Path, iterations: int, validated: list[int], finished: bool
) -> None:
    lines = []
    for i in range(1, iterations + 1):
        lines += [train_line(i), *([val_line(i // 4, dark=0.5)] if i % 4 == 0 and i // 4 in validated else [])]
    write_start(tmp_path, '20260101_000000', lines, settings())
    assert read_run(tmp_path).finished == finished


@pytest.mark.parametrize(
    ('saved', 'validated', 'finished'),
    [(None, True, False), (11, True, True), (11, False, False), (10, True, False), (500, True, False)],
)
def test_by_iterations_the_last_checkpoint_tells_what_the_log_does_not(
    tmp_path: Path, saved: int | None, validated: bool, finished: bool
) -> None:
    """The log has every tenth iteration, training ends at the eleventh; an old checkpoint says nothing."""
    cfg = settings(train_cfg={'max_epochs': 99, 'max_iters': 11})
    cfg['default_hooks']['logger']['interval'] = 10
    write_start(tmp_path, '20260101_000000', [train_line(10), *([val_line(3, dark=0.1)] if validated else [])], cfg)
    if saved:
        (tmp_path / 'last_checkpoint').write_text(f'/somewhere/iter_{saved}.pth')
    assert read_run(tmp_path).finished == finished


def test_a_run_without_validation_is_finished_by_its_iterations(tmp_path: Path) -> None:
    cfg = settings(train_cfg={'max_epochs': 99, 'max_iters': 2}, val_cfg=None, val_dataloader=None)
    write_start(tmp_path, '20260101_000000', [train_line(1), train_line(2)], cfg)
    assert read_run(tmp_path).finished


def test_the_name_is_that_of_the_config_that_was_trained(tmp_path: Path) -> None:
    write_run(tmp_path, 'trained', [{'dark': 0.1}])
    (tmp_path / 'tested.py').write_text('a = 1')  # by tools/test.py, later
    (tmp_path / 'tested_tta.py').write_text('a = 1')
    (tmp_path / '20260105_000000' / 'vis_data').mkdir(parents=True)
    assert read_run(tmp_path).name == 'trained'


def test_one_file_is_a_run(tmp_path: Path) -> None:
    file = write_start(tmp_path, '20260101_000000', [train_line(1)], settings(seed=3), 'named')
    run = read_run(file)
    assert (run.name, run.seed, len(run.train), run.work_dir) == ('named', 3, 1, tmp_path)
    lone = tmp_path / 'deep' / 'er' / 'lone.json'
    lone.parent.mkdir(parents=True)
    shutil.copy(file, lone)
    assert (read_run(lone).seed, len(read_run(lone).train), read_run(lone).finished) == (None, 1, False)


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / 'nowhere'):
        with pytest.raises(InputError, match='holds no log of a training'):
            read_run(path)
