"""Another batch size or number of processes at a resume: each sample of the epoch is trained once, and only once.

The oracle is the list of all samples; for the places in the training it is arithmetic by hand.
"""

import multiprocessing
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.dataset import DefaultSampler

from mmdark.compat import read_checkpoint
from mmdark.engine import ResumableSampler
from mmdark.engine.epoch_loop import TRAINED
from mmdark.errors import InputError
from tests import tiny_resume
from tests.meeting import meeting
from tests.tiny_resume import SAMPLES, Life, train

ALL = list(range(SAMPLES))


def by_epoch(*lives: Life) -> list[list[int]]:
    """The samples of each epoch, sorted."""
    epochs: dict[int, list[int]] = {}
    for entry in chain.from_iterable(life.seen for life in lives):
        epochs.setdefault(entry.epoch, []).extend(entry.numbers)
    return [sorted(epochs[epoch]) for epoch in sorted(epochs)]


@pytest.mark.parametrize(
    ('sizes', 'stops', 'last'),
    [
        ([2, 4], [3], 3 + 3 + 2 * 4),  # 6 of 16 are trained, 10 are left: 4, 4, 2
        ([4, 1], [2], 2 + 8 + 2 * 16),
        ([2, 5, 3], [1, 3], 3 + 2 + 2 * 6),  # 2 and 10 are trained, 4 are left: 3, 1
        ([2, 4], [8], 8 + 2 * 4),  # at the end of the epoch
        ([2, 4], [13], 13 + 2 + 4),  # in the second epoch: 10 are trained, 6 are left
    ],
)
def test_each_sample_of_each_epoch_is_trained_once(
    sizes: list[int], stops: list[int], last: int, tmp_path: Path
) -> None:
    lives = [
        train(tmp_path, stop, resume=bool(number), train_dataloader__batch_size=size)
        for number, (size, stop) in enumerate(zip(sizes, [*stops, None], strict=True))
    ]
    assert by_epoch(*lives) == [ALL] * 3
    iterations = [entry.iteration for life in lives for entry in life.seen]
    assert iterations == list(range(last)) and lives[-1].runner.max_iters == lives[-1].runner.iter == last
    assert not lives[-1].said('starts anew')
    meta = read_checkpoint(tmp_path / f'iter_{last}.pth')['meta']
    assert (meta['epoch'], meta['iter']) == (2, last)


def test_the_log_counts_the_batches_of_today(tmp_path: Path) -> None:
    train(tmp_path, 3)
    life = train(tmp_path, resume=True, train_dataloader__batch_size=4)
    assert [(entry.epoch, entry.batch) for entry in life.seen[:4]] == [(0, 1), (0, 2), (0, 3), (1, 0)]
    first = life.said('Epoch(train)')[0]
    assert '[1][2/4]' in first


def test_what_is_left_over_by_drop_last_is_left_over(tmp_path: Path) -> None:
    first = train(tmp_path, 3, train_dataloader__drop_last=True)
    second = train(tmp_path, resume=True, train_dataloader__batch_size=4, train_dataloader__drop_last=True)
    seen = Counter(chain.from_iterable(first.numbers + second.numbers[:2]))
    assert len(seen) == 14 and set(seen.values()) == {1}  # ten are left: two batches of four
    assert [len(numbers) for numbers in second.numbers] == [4] * (2 + 2 * 4)
    assert second.runner.max_iters == 3 + 2 + 2 * 4


def test_the_order_is_that_of_mmengines_sampler() -> None:
    for size, world, rank in ((16, 1, 0), (10, 4, 3), (3, 5, 4)):
        ours, theirs = (kind(range(size), seed=3) for kind in (ResumableSampler, DefaultSampler))
        for sampler in (ours, theirs):
            sampler.rank, sampler.world_size = rank, world
            sampler.total_size = -(-size // world) * world
        ours.set_epoch(2), theirs.set_epoch(2)
        assert list(ours) == list(theirs) and len(list(ours)) == ours.left(0)


@pytest.mark.parametrize('round_up', [True, False])
@pytest.mark.parametrize(('start', 'world'), [(6, 1), (6, 2), (7, 2), (5, 4), (16, 2), (15, 8)])
def test_the_rest_is_dealt_out_to_the_processes_of_today(start: int, world: int, round_up: bool) -> None:
    """Those that fill up the last round are the only ones that come twice."""
    whole, dealt = None, []
    for rank in range(world):
        sampler = ResumableSampler(range(SAMPLES), seed=3, round_up=round_up)
        whole = list(sampler)
        sampler.rank, sampler.world_size, sampler.start = rank, world, start
        dealt.append(list(sampler))
        assert len(dealt[-1]) == sampler.left(start)
    trained = Counter(chain(whole[:start], *dealt))
    more = sum(map(len, dealt)) + start - SAMPLES
    assert sorted(trained) == ALL and sum(trained.values()) - SAMPLES == more
    assert more == ((start - SAMPLES) % world if round_up else 0)


def test_other_numbers_of_processes_go_on_in_the_same_epoch(tmp_path: Path) -> None:
    """One process, two, and one again: 6, 4 and 6 of the 16 samples of the first epoch."""
    first = train(tmp_path, 3)
    both = together(tmp_path, stop=4)
    assert [len(list(chain.from_iterable(numbers))) for numbers in both] == [2, 2]
    last = train(tmp_path, resume=True)
    dealt = chain(*first.numbers, *both[0], *both[1], *last.numbers[:3])
    assert sorted(dealt) == ALL
    assert [entry.epoch for entry in last.seen] == [0] * 3 + [1] * 8 + [2] * 8
    assert last.said('processes 2 → 1')


def together(work_dir: Path, stop: int) -> list[list[list[int]]]:
    """What each of two processes saw."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['tests.training_lives', 'tests.tiny_resume'])
    put = context.Queue()
    with meeting() as place:
        lives = [
            context.Process(target=tiny_resume.train_as_one_of, args=(rank, 2, place, work_dir, stop, put))
            for rank in range(2)
        ]
        for life in lives:
            life.start()
        told = dict(put.get(timeout=120) for _ in lives)
        for life in lives:
            life.join(120)
    return [told[rank] for rank in range(2)]


def test_a_schedule_by_epochs_goes_with_the_epochs(tmp_path: Path) -> None:
    schedule = [dict(type='MultiStepLR', milestones=[1, 2], gamma=0.1, by_epoch=True)]
    train(tmp_path, 3, schedule=schedule)
    life = train(tmp_path, resume=True, schedule=schedule, train_dataloader__batch_size=4)
    assert life.rates == pytest.approx([0.1] * 3 + [0.01] * 4 + [0.001] * 4, rel=1e-12)


@pytest.mark.parametrize(
    'schedule',
    [
        dict(type='LinearLR', start_factor=1.0, end_factor=0.0, by_epoch=False),
        dict(type='LinearLR', start_factor=1.0, end_factor=0.0, by_epoch=True, convert_to_iter_based=True),
    ],
    ids=['by iterations', 'converted'],
)
def test_a_schedule_over_the_whole_training_ends_with_it(schedule: dict[str, Any], tmp_path: Path) -> None:
    """Twelve iterations of four; six of two are as far as three of four would be, from which nine are left."""
    train(tmp_path, 6, schedule=[schedule])
    life = train(tmp_path, resume=True, schedule=[schedule], train_dataloader__batch_size=4)
    assert life.rates == pytest.approx([0.1 * (1 - step / 11) for step in range(3, 12)], rel=1e-9, abs=1e-12)


def test_a_schedule_that_names_its_iterations_counts_iterations(tmp_path: Path) -> None:
    schedule = [dict(type='MultiStepLR', milestones=[7], gamma=0.1, by_epoch=False)]
    options = dict(schedule=schedule, train_cfg__max_iters=9)
    train(tmp_path, 6, **options)
    life = train(tmp_path, resume=True, train_dataloader__batch_size=4, **options)
    assert life.rates == pytest.approx([0.1, 0.01, 0.01], rel=1e-12) and life.runner.max_iters == 9


def test_accumulated_batches_end_with_the_training(tmp_path: Path) -> None:
    """15 iterations of one, then 1 + 2 * 8 of two: the last group has two of three batches, and no gradient is left."""
    options = dict(optim_wrapper__accumulative_counts=3, default_hooks__checkpoint__interval=3)
    train(tmp_path, 15, train_dataloader__batch_size=1, **options)
    life = train(tmp_path, resume=True, **options)
    assert life.runner.iter == 15 + 1 + 2 * 8 and by_epoch(life)[1:] == [ALL] * 2 and len(life.numbers[0]) == 1
    assert all(parameter.grad is None for parameter in life.runner.model.parameters())
    with pytest.raises(InputError, match=r'interval=3 \(epochs\).*by_epoch=False'):  # the first epoch ends with 16
        more = dict(default_hooks__checkpoint__by_epoch=True)
        train(tmp_path / 'other', resume=tmp_path / 'iter_15.pth', **options, **more)


def test_a_checkpoint_without_a_record_starts_the_epoch_anew_in_one_line(tmp_path: Path) -> None:
    """As mmdark 0.1 and mmengine's loops write it."""
    train(tmp_path, 5)
    checkpoint = torch.load(tmp_path / 'iter_5.pth', weights_only=True)
    del checkpoint['message_hub']['runtime_info'][TRAINED], checkpoint['meta']['processes']
    torch.save(checkpoint, tmp_path / 'old.pth')
    life = train(tmp_path / 'other', resume=tmp_path / 'old.pth', train_dataloader__batch_size=4)
    assert len(life.said('does not hold which samples are trained: epoch 1 starts anew')) == 1
    assert by_epoch(life) == [ALL] * 3 and life.runner.iter == 5 + 3 * 4


def test_another_data_set_starts_the_epoch_anew_in_one_line(tmp_path: Path) -> None:
    train(tmp_path, 3)
    life = train(tmp_path, resume=True, train_dataloader__dataset__size=12)
    assert len(life.said('the data set has 12 samples, 16 before: epoch 1 starts anew')) == 1
    assert by_epoch(life) == [ALL[:12]] * 3


@pytest.mark.parametrize('by_epochs', [False, True])
def test_an_epoch_that_was_cut_goes_on(by_epochs: bool, tmp_path: Path) -> None:
    """Cut after 11 iterations, in the second epoch, which a checkpoint that counts epochs takes for a whole one."""
    options = dict(schedule=[dict(type='MultiStepLR', milestones=[1, 2], gamma=0.1, by_epoch=True)])
    options |= dict(default_hooks__checkpoint__by_epoch=by_epochs, default_hooks__checkpoint__interval=1)
    first = train(tmp_path, train_cfg__max_iters=11, **options)
    assert first.runner.iter == 11
    second = train(tmp_path, resume=True, **options)
    assert by_epoch(first, second) == [ALL] * 3 and second.runner.iter == 24
    assert first.rates + second.rates == pytest.approx([0.1] * 8 + [0.01] * 8 + [0.001] * 8, rel=1e-12)
