"""No checkpoint is lost: to a kill, to a full disk, to the order in which old ones go and new ones come.

The disk is full for a while by ``RLIMIT_FSIZE``: files cannot grow beyond it, as the system itself says.
"""

import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from mmdark.apis import last_checkpoint
from mmdark.engine import WholeFileBackend
from mmdark.engine.hooks import WholeCheckpoint
from mmdark.errors import InputError
from tests.tiny_line import line_runner

SIZE = 200_000
"""Numbers in a checkpoint of 800 kB, above what fits on the full disk."""
FITS = 300_000


@contextmanager
def full_disk() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FITS, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class FullDisk(Hook):
    """The disk is full in some iterations, or in the validation after one."""

    priority = 'HIGHEST'

    def __init__(self, iterations: range = range(0), validation_after: int = -1) -> None:
        self.iterations, self.validation_after = iterations, validation_after
        self.disk = full_disk()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter + 1 == self.iterations.start:
            self.disk.__enter__()
        elif runner.iter + 1 == self.iterations.stop:
            self.disk.__exit__(None, None, None)

    def before_val(self, runner: Runner) -> None:
        if runner.iter == self.validation_after:
            self.disk.__enter__()

    def after_val(self, runner: Runner) -> None:
        if runner.iter == self.validation_after:
            self.disk.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def _room_again() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def said(runner: Runner) -> list[str]:
    """Gets what the logger says from now on."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda entry: lines.append(entry.getMessage())
    MMLogger.get_current_instance().addHandler(handler)
    return lines


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob('*.pth'))


def test_a_disk_that_is_full_for_a_while_costs_only_those_checkpoints(tmp_path: Path) -> None:
    runner = line_runner(tmp_path, [FullDisk(range(3, 6))], size=SIZE, epochs=2, max_keep_ckpts=2)
    lines = said(runner)
    runner.train()
    assert written(tmp_path) == ['iter_7.pth', 'iter_8.pth']
    (failure,) = (line for line in lines if 'could not be written' in line)  # of three in one minute
    assert f'iter_3.pth could not be written (File too large); {tmp_path}/iter_2.pth is the last' in failure
    assert (tmp_path / 'last_checkpoint').read_text() == f'{tmp_path}/iter_8.pth'


def test_a_disk_that_stays_full_leaves_the_last_whole_one_and_an_error(tmp_path: Path) -> None:
    runner = line_runner(tmp_path, [FullDisk(range(3, 99))], size=SIZE, epochs=1, max_keep_ckpts=1)
    with pytest.raises(InputError, match=r'iter_4\.pth could not be written .*iter_2\.pth is the last whole') as caught:
        runner.train()
    assert '\n' not in str(caught.value) and runner.iter == 4
    assert written(tmp_path) == ['iter_2.pth'] and not list(tmp_path.glob('.*.part'))
    assert torch.load(tmp_path / 'iter_2.pth', weights_only=True)['meta']['iter'] == 2
    assert (tmp_path / 'last_checkpoint').read_text() == last_checkpoint(str(tmp_path)) == f'{tmp_path}/iter_2.pth'
    info = runner.message_hub.runtime_info
    assert (info['own_ckpts'], info['last_ckpt']) == ({'iter_2.pth': True}, f'{tmp_path}/iter_2.pth')


def test_nothing_written_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='there is no whole checkpoint; make room'):
        line_runner(tmp_path, [FullDisk(range(1, 99))], size=SIZE, epochs=1).train()
    assert written(tmp_path) == [] and not (tmp_path / 'last_checkpoint').exists()


@pytest.mark.parametrize('name', ['score', 'auto'])
def test_the_best_stays_until_a_better_one_is_written(tmp_path: Path, name: str) -> None:
    """0.9 cannot be written; the best is then 0.2 still, which 0.5 beats."""
    rule = {'save_best': name, 'rule': 'greater', 'max_keep_ckpts': 1}
    hook = FullDisk(validation_after=8)
    runner = line_runner(tmp_path, [hook], scores=[0.2, 0.9, 0.1], size=SIZE, epochs=3, **rule)
    with pytest.raises(InputError, match=r'the best checkpoint in .* could not be written'):
        runner.train()
    assert written(tmp_path) == ['best_score_iter_4.pth', 'iter_12.pth']
    info = torch.load(tmp_path / 'iter_12.pth', weights_only=True)['message_hub']['runtime_info']
    assert (info['best_score'], info['best_ckpt']) == (0.2, f'{tmp_path}/best_score_iter_4.pth')
    again = tmp_path / 'again'
    runner = line_runner(again, [FullDisk(validation_after=8)], scores=[0.2, 0.9, 0.5], size=SIZE, epochs=3, **rule)
    runner.train()
    assert written(again) == ['best_score_iter_12.pth', 'iter_12.pth']


def test_at_each_write_all_that_should_be_kept_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[str]] = {}
    put = WholeFileBackend.put

    def look(self: WholeFileBackend, content: bytes, path: str) -> None:
        seen.setdefault(Path(path).name, written(tmp_path))
        put(self, content, path)

    monkeypatch.setattr(WholeFileBackend, 'put', look)
    line_runner(tmp_path, epochs=2, max_keep_ckpts=2, save_best='score', rule='greater').train()
    assert seen['iter_3.pth'] == ['iter_1.pth', 'iter_2.pth']
    assert seen['iter_5.pth'] == ['best_score_iter_4.pth', 'iter_3.pth', 'iter_4.pth']
    assert seen['best_score_iter_8.pth'] == ['best_score_iter_4.pth', 'iter_7.pth', 'iter_8.pth']
    assert written(tmp_path) == ['best_score_iter_8.pth', 'iter_7.pth', 'iter_8.pth']


def test_what_a_kill_leaves_too_many_or_half_a_resume_removes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: WholeCheckpoint, path: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(WholeCheckpoint, '_remove', killed)
        with pytest.raises(KeyboardInterrupt):
            line_runner(tmp_path, max_keep_ckpts=2).train()
    (tmp_path / '.iter_4.pth.1.part').write_bytes(b'half')
    assert written(tmp_path) == ['iter_1.pth', 'iter_2.pth', 'iter_3.pth']
    runner = line_runner(tmp_path, max_keep_ckpts=2, epochs=1, resume=tmp_path / 'iter_3.pth')
    lines = said(runner)
    runner.train()
    assert written(tmp_path) == ['iter_3.pth', 'iter_4.pth'] and not list(tmp_path.glob('.*.part'))
    assert [line for line in lines if '.iter_4.pth.1.part was left by a write that was cut off' in line]


@pytest.mark.parametrize(
    'options',
    [
        {'interval': 3},
        {'interval': 3, 'save_last': False},
        {'by_epoch': True, 'max_keep_ckpts': 2, 'save_best': 'score', 'rule': 'less'},
        {'interval': 2, 'save_begin': 5, 'filename_tmpl': 'step_{}.pth', 'max_keep_ckpts': 3},
        {'interval': 4, 'save_best': ['score', 'half'], 'rule': ['greater', 'less'], 'out_dir': 'elsewhere'},
        {'interval': 5, 'save_optimizer': False, 'save_param_scheduler': False, 'save_best': 'auto', 'rule': 'greater'},
    ],
)
def test_all_options_leave_the_files_that_mmengines_hook_leaves(tmp_path: Path, options: dict[str, Any]) -> None:
    """The oracle is mmengine's hook."""
    left = {}
    for kind in ('CheckpointHook', 'WholeCheckpoint'):
        work_dir, given = tmp_path / kind / 'run', dict(options)
        folder = work_dir
        if 'out_dir' in given:
            given['out_dir'], folder = str(tmp_path / kind / 'out'), tmp_path / kind / 'out' / 'run'
        runner = line_runner(work_dir, scores=[0.3, 0.1, 0.4, 0.2, 0.5], type=kind, **given)
        runner.train()
        record = work_dir / 'last_checkpoint'
        held = {name: sorted(torch.load(folder / name, weights_only=True)) for name in written(folder)}
        left[kind] = (held, Path(record.read_text()).name if record.exists() else None)
    assert left['WholeCheckpoint'] == left['CheckpointHook'] and left['WholeCheckpoint'][0]


def test_published_files_hold_the_named_keys_and_plain_types(tmp_path: Path) -> None:
    keys = ['meta', 'state_dict']
    line_runner(tmp_path, epochs=1, interval=4, published_keys=keys, save_best='score', rule='greater').train()
    published = [name for name in written(tmp_path) if '-' in name]
    assert [name[: name.index('-')] for name in published] == ['best_score_iter_4', 'iter_4']
    assert sorted(torch.load(tmp_path / published[0], weights_only=True)) == sorted(keys)


def test_another_backend_is_left_alone() -> None:
    assert WholeCheckpoint().backend_args == {'backend': 'whole'}
    assert WholeCheckpoint(out_dir='s3://bucket/a').backend_args is None
    assert WholeCheckpoint(backend_args={'backend': 'local'}).backend_args == {'backend': 'local'}
