"""Epochs that are cut, killed and resumed: the same images, steps and learning rates as without a break.

The oracle is the uninterrupted run. Ten numbers, batches of three: four batches an epoch, the last one of one number.
"""

import gc
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor

from mmdark.compat import read_checkpoint
from mmdark.engine import ResumableSampler

EPOCH = 4


class Line(BaseModel):
    """A straight line with weights whose path depends on the order of the numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.line = torch.nn.Linear(1, 1)

    def forward(self, inputs: Tensor, mode: str = 'loss') -> dict[str, Tensor] | list[Tensor]:
        if mode == 'predict':
            return [self.line(inputs)]
        return {'loss': ((self.line(inputs) - 0.3 * inputs) ** 2).mean()}


class NoMetric(BaseMetric):
    """Counts nothing."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list) -> dict[str, float]:
        return {'count': len(results)}


class Killed(Exception):
    """Stands for the end of the process."""


class Record(Hook):
    """Writes down what each iteration saw, and stops before iteration ``kill_at`` if there is one."""

    priority = 'VERY_HIGH'

    def __init__(self, kill_at: int | None = None) -> None:
        self.kill_at = kill_at
        self.seen: list[tuple[int, int, list[float], float]] = []
        self.validated: list[int] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        if runner.iter == self.kill_at:
            raise Killed
        rate = runner.optim_wrapper.get_lr()['lr'][0]
        self.seen.append((runner.iter, batch_idx, data_batch['inputs'].flatten().tolist(), rate))

    def before_val(self, runner: Runner) -> None:
        self.validated.append(runner.iter)


def make(work_dir: Path, record: Record, **options: Any) -> Runner:
    """A Runner on ten numbers, with momentum, one schedule by iterations and one by epochs."""
    cut = options.pop('max_iters', None)
    workers = options.pop('num_workers', 0)
    loader = {
        'batch_size': options.pop('batch_size', 3),
        'num_workers': workers,
        'persistent_workers': workers > 0,
        'dataset': [{'inputs': torch.tensor([number / 10.0])} for number in range(10)],
        'collate_fn': {'type': 'default_collate'},
    }
    return Runner(
        model=Line(),
        work_dir=str(work_dir),
        train_dataloader={**loader, 'sampler': {'type': options.pop('sampler', 'ResumableSampler'), 'shuffle': True}},
        train_cfg={'type': 'ResumableEpochLoop', 'max_epochs': 5, 'max_iters': cut, 'val_interval': 2},
        val_dataloader={**loader, 'num_workers': 0, 'persistent_workers': False, 'sampler': {'type': 'DefaultSampler'}},
        val_cfg={'type': 'ValLoop'},
        val_evaluator=Evaluator([NoMetric()]),
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.05, 'momentum': 0.9}},
        param_scheduler=[
            {'type': 'LinearLR', 'start_factor': 0.1, 'end': 7, 'by_epoch': False},
            {'type': 'MultiStepLR', 'milestones': [1, 3], 'gamma': 0.5, 'by_epoch': True},
        ],
        default_hooks={'checkpoint': {'type': 'CheckpointHook', 'by_epoch': False, 'interval': 1}},
        custom_hooks=[record],
        log_level='WARNING',
        experiment_name=uuid4().hex,
        randomness={'seed': 3},
        default_scope='mmdet',
        **options,
    )


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, dict[str, Any]]:
    """What the uninterrupted run saw, and its last checkpoint."""
    folder, record = tmp_path_factory.mktemp('whole'), Record()
    make(folder, record).train()
    return record, read_checkpoint(folder / 'iter_20.pth')


def equal(one: Any, other: Any) -> bool:
    """Deep equality of checkpoints' parts, bit for bit."""
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def test_every_epoch_sees_every_image_once(whole: tuple[Record, dict]) -> None:
    seen = whole[0].seen
    assert [entry[:2] for entry in seen] == [(iteration, iteration % EPOCH) for iteration in range(5 * EPOCH)]
    orders = [
        list(chain.from_iterable(entry[2] for entry in seen[start : start + EPOCH]))
        for start in range(0, 5 * EPOCH, EPOCH)
    ]
    for order in orders:
        assert sorted(order) == pytest.approx([number / 10 for number in range(10)])
    assert len(set(map(tuple, orders))) == 5
    assert whole[0].validated == [8, 16, 20]
    factors = [0.1 + 0.9 * min(i, 6) / 6 for i in range(20)]  # by iterations
    halves = [0.5 ** ((i >= EPOCH) + (i >= 3 * EPOCH)) for i in range(20)]  # by epochs
    assert [entry[3] for entry in seen] == pytest.approx([0.05 * a * b for a, b in zip(factors, halves, strict=True)])


@pytest.mark.parametrize('stop', [1, 4, 6, 8, 15], ids=lambda stop: f'after {stop}')
def test_killed_and_resumed_is_uninterrupted(tmp_path: Path, whole: tuple[Record, dict], stop: int) -> None:
    """After 4 and 8 the checkpoint stands at the end of an epoch, after 8 before a validation."""
    expected, last = whole
    first, second = Record(kill_at=stop), Record()
    with pytest.raises(Killed):
        make(tmp_path, first).train()
    saved = read_checkpoint(tmp_path / f'iter_{stop}.pth')
    assert saved['meta']['iter'] == stop
    resumed = make(tmp_path, second, resume=True)
    resumed.train()
    assert second.seen[0][0] == stop
    assert first.seen + second.seen == expected.seen
    assert first.validated + [it for it in second.validated if it not in first.validated] == expected.validated
    final = read_checkpoint(tmp_path / 'iter_20.pth')
    assert equal(final['state_dict'], last['state_dict'])
    momenta = [state['momentum_buffer'] for state in final['optimizer']['state'].values()]
    assert len(momenta) == 2 and all(momentum.abs().sum() > 0 for momentum in momenta)
    assert equal(final['optimizer'], last['optimizer'])
    assert equal(final['param_schedulers'], last['param_schedulers'])
    assert (final['meta']['iter'], final['meta']['epoch']) == (last['meta']['iter'], last['meta']['epoch'])


def test_killed_twice_in_one_epoch_with_a_worker(
    tmp_path: Path, whole: tuple[Record, dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker stays alive from one epoch to the next; what is left out is left out of the first one only."""
    monkeypatch.setattr('torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL', 0.1)  # how long torch waits for its worker
    records = [Record(kill_at=5), Record(kill_at=7), Record()]
    for record in records[:2]:
        with pytest.raises(Killed):
            make(tmp_path, record, resume=True).train()
    make(tmp_path, records[2], resume=True, num_workers=1).train()
    assert list(chain.from_iterable(record.seen for record in records)) == whole[0].seen
    gc.collect()  # while the patience is short


def test_resuming_a_finished_training_trains_no_further(tmp_path: Path) -> None:
    first, second = Record(), Record()
    make(tmp_path, first, max_iters=6).train()
    make(tmp_path, second, max_iters=6, resume=True).train()
    assert len(first.seen) == 6 and second.seen == []


@pytest.mark.parametrize(('cut', 'validated'), [(3, [3]), (10, [8, 10]), (16, [8, 16]), (50, [8, 16, 20])])
def test_cut_at_a_number_of_iterations_with_a_last_validation(
    tmp_path: Path, whole: tuple[Record, dict], cut: int, validated: list[int]
) -> None:
    record = Record()
    runner = make(tmp_path, record, max_iters=cut)
    runner.train()
    assert runner.max_iters == runner.iter == min(cut, 20)
    assert record.seen == whole[0].seen[:cut]
    assert record.validated == validated
    assert (tmp_path / f'iter_{runner.iter}.pth').is_file()


def test_another_sampler_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r'needs sampler=dict.*ResumableSampler.*got DefaultSampler'):
        make(tmp_path, Record(), sampler='DefaultSampler').train()


def test_the_sampler_leaves_out_once_and_keeps_the_order() -> None:
    sampler = ResumableSampler(range(10), shuffle=True, seed=3)
    whole = list(sampler)
    sampler.start = 4
    assert [list(sampler), list(sampler)] == [whole[4:], whole]
    assert sorted(whole) == list(range(10)) and whole != sorted(whole)
