"""Which files a training removes: those that it has written into its own folder, whatever a checkpoint names."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdark.engine.hooks import whole_checkpoint
from mmdark.errors import InputError
from tests.tiny_line import line_runner

BEST = {'save_best': 'score', 'rule': 'greater', 'interval': 2}


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob('*.pth'))


def test_another_folders_files_stay_when_a_training_goes_on_from_it(tmp_path: Path) -> None:
    """Y goes on from X: X stays as it is, and so does a file in Y that has the name of one of X."""
    x, y = tmp_path / 'x', tmp_path / 'y'
    line_runner(x, [], [0.1, 0.2], epochs=2, max_keep_ckpts=2, **BEST).train()
    before = {path.name: path.read_bytes() for path in x.glob('*.pth')}
    assert sorted(before) == ['best_score_iter_8.pth', 'iter_6.pth', 'iter_8.pth']
    y.mkdir()
    (y / 'iter_6.pth').write_text('of another training')
    resume = x / 'iter_8.pth'
    line_runner(y, [], [0.3, 0.4], epochs=4, max_keep_ckpts=2, **BEST, resume=resume).train()
    assert {path.name: path.read_bytes() for path in x.glob('*.pth')} == before
    assert written(y) == ['best_score_iter_16.pth', 'iter_14.pth', 'iter_16.pth', 'iter_6.pth']
    assert (y / 'iter_6.pth').read_text() == 'of another training'


def test_a_worse_score_than_that_of_the_other_folder_is_not_the_best(tmp_path: Path) -> None:
    line_runner(tmp_path / 'x', [], [0.5], epochs=1, **BEST).train()
    line_runner(tmp_path / 'y', [], [0.4], epochs=2, **BEST, resume=tmp_path / 'x' / 'iter_4.pth').train()
    assert written(tmp_path / 'y') == ['iter_6.pth', 'iter_8.pth']


def test_a_start_in_the_same_folder_goes_on_removing(tmp_path: Path) -> None:
    """Through a link to the folder, too."""
    line_runner(tmp_path / 'run', [], [0.1, 0.2], epochs=2, max_keep_ckpts=2, **BEST).train()
    (tmp_path / 'link').symlink_to(tmp_path / 'run')
    resume = tmp_path / 'link' / 'iter_8.pth'
    line_runner(tmp_path / 'run', [], [0.3], epochs=3, max_keep_ckpts=2, **BEST, resume=resume).train()
    assert written(tmp_path / 'run') == ['best_score_iter_12.pth', 'iter_10.pth', 'iter_12.pth']


def test_a_copied_checkpoint_removes_nothing(tmp_path: Path) -> None:
    line_runner(tmp_path / 'x', [], [0.1, 0.2], epochs=2, max_keep_ckpts=1, **BEST).train()
    y = tmp_path / 'y'
    y.mkdir()
    (y / 'iter_8.pth').write_bytes((tmp_path / 'x' / 'iter_8.pth').read_bytes())
    line_runner(y, [], [0.3], epochs=3, max_keep_ckpts=1, **BEST, resume=y / 'iter_8.pth').train()
    assert written(y) == ['best_score_iter_12.pth', 'iter_12.pth', 'iter_8.pth']
    assert written(tmp_path / 'x') == ['best_score_iter_8.pth', 'iter_8.pth']


@pytest.mark.parametrize(
    'place', ['{run}/precious', '{run}/../precious', '{run}/vis_data', '{run}/best_score_iter_1.pth']
)
@pytest.mark.parametrize('is_folder', [False, True])
def test_a_crafted_best_removes_nothing(tmp_path: Path, place: str, is_folder: bool) -> None:
    run = tmp_path / 'run'
    line_runner(run, [], [0.1], epochs=1, **BEST).train()
    named = Path(place.format(run=run))
    if is_folder:
        named.mkdir()
        (named / 'inside').write_text('mine')
    elif named.name.endswith('.pth'):
        (tmp_path / 'precious').write_text('mine')
        named.symlink_to(tmp_path / 'precious')
    else:
        named.write_text('mine')
    checkpoint = torch.load(run / 'iter_4.pth', weights_only=True)
    checkpoint['message_hub']['runtime_info'].update(
        best_ckpt=str(named), own_ckpts={str(named): False, '../precious': False}
    )
    torch.save(checkpoint, run / 'iter_4.pth')
    line_runner(run, [], [0.5], epochs=2, **BEST, resume=run / 'iter_4.pth').train()
    assert (named / 'inside' if is_folder else named).read_text() == 'mine'
    assert 'best_score_iter_8.pth' in written(run)


@pytest.mark.parametrize('crafted', [{'best_ckpt': 7}, {'keep_ckpt_ids': ['../x', 2.5, None]}, {'own_ckpts': 'x'}])
def test_nonsense_in_a_checkpoint_is_left_alone(tmp_path: Path, crafted: dict[str, Any]) -> None:
    line_runner(tmp_path, [], [0.1], epochs=1, max_keep_ckpts=2, **BEST).train()
    checkpoint = torch.load(tmp_path / 'iter_4.pth', weights_only=True)
    checkpoint['message_hub']['runtime_info'].update(crafted)
    torch.save(checkpoint, tmp_path / 'iter_4.pth')
    line_runner(tmp_path, [], [0.5], epochs=2, max_keep_ckpts=2, **BEST, resume=tmp_path / 'iter_4.pth').train()
    assert {'iter_6.pth', 'iter_8.pth', 'best_score_iter_8.pth'} <= set(written(tmp_path))


def test_the_record_of_mmengines_hook_is_taken_over(tmp_path: Path) -> None:
    line_runner(tmp_path, [], [0.1], epochs=1, max_keep_ckpts=2, interval=1).train()
    checkpoint = torch.load(tmp_path / 'iter_4.pth', weights_only=True)
    del checkpoint['message_hub']['runtime_info']['own_ckpts']
    checkpoint['message_hub']['runtime_info']['keep_ckpt_ids'] = [3, 4]
    torch.save(checkpoint, tmp_path / 'iter_4.pth')
    line_runner(tmp_path, epochs=2, max_keep_ckpts=2, interval=2, resume=tmp_path / 'iter_4.pth').train()
    assert written(tmp_path) == ['iter_6.pth', 'iter_8.pth']


def test_parts_of_other_programs_stay(tmp_path: Path) -> None:
    for name in ('.iter_3.pth.7.part', '.last_checkpoint.7.part', '.detections.json.7.part'):
        (tmp_path / name).write_text('half')
    line_runner(tmp_path, epochs=1).train()
    assert [path.name for path in tmp_path.glob('.*.part')] == ['.detections.json.7.part']


class Clock:
    """Each iteration takes seven minutes."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(whole_checkpoint, 'time', clock)
    return clock


class Look(Hook):
    """Lets time go by, and sees which files there are at the beginning of each iteration."""

    priority = 'VERY_HIGH'

    def __init__(self, clock: Clock, minutes: float = 7, killed_in: int | None = None) -> None:
        self.clock, self.minutes, self.killed_in = clock, minutes, killed_in
        self.seen: dict[int, list[str]] = {}

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.seen[runner.iter] = written(Path(runner.work_dir))
        self.clock.now += 60 * self.minutes
        if runner.iter == self.killed_in:
            raise RuntimeError('killed')


@pytest.mark.parametrize(
    'options', [{'interval': 5}, {'by_epoch': True, 'interval': 2}, {'interval': 5, 'max_keep_ckpts': 1}]
)
def test_a_checkpoint_every_ten_minutes_goes_when_the_next_is_there(
    tmp_path: Path, clock: Clock, options: dict[str, Any]
) -> None:
    """In the end the files are those that there would be without it."""
    hook = Look(clock)
    seen = hook.seen
    line_runner(
        tmp_path / 'timed', [hook], epochs=4, max_minutes=10, save_best='score', rule='greater', **options
    ).train()
    line_runner(tmp_path / 'planned', [], epochs=4, save_best='score', rule='greater', **options).train()
    assert written(tmp_path / 'timed') == written(tmp_path / 'planned')
    assert seen[1] == [] and seen[2] == seen[3] == ['iter_2.pth']  # after 14 minutes
    if options.get('by_epoch'):
        assert seen[4] == ['best_score_epoch_1.pth', 'iter_4.pth']
    else:
        assert [name for name in seen[5] if 'best' not in name] == ['iter_5.pth']
        assert [name for name in seen[7] if 'best' not in name] == ['iter_5.pth', 'iter_7.pth']


def test_a_training_resumes_from_a_checkpoint_by_time_and_removes_it(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(RuntimeError, match='killed'):
        line_runner(tmp_path, [Look(clock, killed_in=3)], epochs=2, interval=6, max_minutes=10).train()
    assert written(tmp_path) == ['iter_2.pth']
    line_runner(tmp_path, [], epochs=2, interval=6, max_minutes=10, resume=tmp_path / 'iter_2.pth').train()
    assert written(tmp_path) == ['iter_6.pth', 'iter_8.pth']


def test_time_that_is_up_in_the_last_iteration_writes_no_checkpoint_more(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    write = whole_checkpoint.WholeCheckpoint._write

    def note(hook: Hook, runner: Runner, name: str, *rest: Any, **options: Any) -> None:
        names.append(name)
        write(hook, runner, name, *rest, **options)

    monkeypatch.setattr(whole_checkpoint.WholeCheckpoint, '_write', note)
    line_runner(tmp_path, [Look(clock)], epochs=2, by_epoch=True, interval=2, max_minutes=10).train()
    assert names == ['iter_2.pth', 'iter_4.pth', 'iter_6.pth', 'epoch_2.pth']


def test_all_processes_save_where_the_first_says_so(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saving is work of all of them; the clock of this one is late."""
    monkeypatch.setattr(whole_checkpoint, 'largest_of_all', lambda up, step: up or int(step == 3))
    hook = Look(clock, minutes=0)
    line_runner(tmp_path, [hook], epochs=1, interval=99, max_minutes=10).train()
    assert hook.seen[2] == [] and hook.seen[3] == ['iter_3.pth']


def test_accumulated_gradients_wait_for_their_step(tmp_path: Path, clock: Clock) -> None:
    hook = Look(clock, minutes=11)
    line_runner(tmp_path, [hook], epochs=2, interval=99, max_minutes=10, accumulative_counts=3).train()
    assert [hook.seen[iteration] for iteration in range(8)] == 3 * [[]] + 3 * [['iter_3.pth']] + 2 * [['iter_6.pth']]


def test_a_full_disk_is_tried_again_after_a_minute(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[float] = []

    def full(*_: Any) -> None:
        tries.append(clock.now / 60)
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('mmdark.engine.checkpoint_files.write_verified', full)
    with pytest.raises(InputError, match=r'iter_16\.pth could not be written'):
        line_runner(tmp_path, [Look(clock, minutes=0.75)], epochs=4, interval=99, max_minutes=3).train()
    assert tries == [3, 4.5, 6, 7.5, 9, 10.5, 12]


def test_a_record_that_cannot_be_written_costs_a_line_and_no_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'last_checkpoint').mkdir()
    line_runner(tmp_path, epochs=1, interval=2).train()
    assert written(tmp_path) == ['iter_2.pth', 'iter_4.pth']
    said = capsys.readouterr().out
    assert (
        said.count('last_checkpoint could not be written') == 1 and f'name {tmp_path}/iter_2.pth with --resume' in said
    )
