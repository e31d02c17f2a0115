"""Each row of the table "Changing a training when it goes on" in docs/training.md, done and looked at.

The oracles are formulas and a training that had the config from its beginning.
"""

import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdark.compat import read_checkpoint
from mmdark.errors import InputError
from tests.engine.hooks.test_resume_by_config import SGD, momenta, one_cycle
from tests.engine.test_epoch_loop import equal
from tests.engine.test_resume_batches import ALL, by_epoch, together
from tests.tiny_resume import Life, train
from tests.tiny_wider import ROOT

ROWS: dict[str, Callable[[Path], None]] = {}
STEPS = [dict(type='MultiStepLR', milestones=[1, 4], gamma=0.1)]


def row(change: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """The function does what the row of this first cell says."""

    def remember(function: Callable[[Path], None]) -> Callable[[Path], None]:
        ROWS[change] = function
        return function

    return remember


def changed(folder: Path, stop: int = 5, **new: Any) -> tuple[Life, Life]:
    """Five iterations of eight an epoch, and the rest with other settings."""
    return train(folder, stop, schedule=STEPS), train(folder, resume=True, **{'schedule': STEPS, **new})


def written_rows() -> list[str]:
    """The first cells of the table on the page."""
    page = (ROOT / 'docs' / 'training.md').read_text(encoding='utf-8')
    table = page.split('| What you change | What happens |\n|---|---|\n')[1].split('\n\n')[0]
    return [re.match(r'\| (.+?) \| .+ \|$', line)[1] for line in table.splitlines()]


def test_the_page_has_the_rows_that_are_done_here() -> None:
    assert written_rows() == list(ROWS) and len(ROWS) >= 8


@pytest.mark.parametrize('change', written_rows())
def test_the_row_holds(change: str, tmp_path: Path) -> None:
    ROWS[change](tmp_path)


@row('nothing')
def _(folder: Path) -> None:
    whole = train(folder / 'whole', schedule=STEPS)
    _, life = changed(folder)
    one, other = (read_checkpoint(path / 'iter_24.pth') for path in (folder, folder / 'whole'))
    assert equal(one['state_dict'], other['state_dict']) and equal(one['optimizer'], other['optimizer'])
    assert life.rates == whole.rates[5:] and not life.said('differ')


@row('`train_dataloader.batch_size`')
def _(folder: Path) -> None:
    first, life = changed(folder, train_dataloader__batch_size=4)
    assert by_epoch(first, life) == [ALL] * 3 and [len(numbers) for numbers in life.numbers[:3]] == [4, 2, 4]
    assert [entry.iteration for entry in life.seen] == list(range(5, 5 + 2 + 4 + 4))
    assert life.said('differ')[0].endswith('train_dataloader.batch_size 2 → 4')


@row('the number of processes')
def _(folder: Path) -> None:
    first = train(folder, 5)
    dealt = together(folder, stop=7)  # six are left: two and one for each process
    assert [[len(batch) for batch in numbers] for numbers in dealt] == [[2, 1], [2, 1]]
    assert sorted(chain(*first.numbers, *dealt[0], *dealt[1])) == ALL


@row('`optim_wrapper.optimizer.lr`')
def _(folder: Path) -> None:
    _, life = changed(folder, optimizer=dict(SGD, lr=1e-6))
    assert life.rates == pytest.approx([1e-6] * 3 + [1e-7] * 16, rel=1e-9)
    assert life.said('differ')[0].endswith('optim_wrapper.optimizer.lr 0.1 → 1e-06')


@row('`optimizer.momentum`, `betas`, `weight_decay`')
def _(folder: Path) -> None:
    _, life = changed(folder, optimizer=dict(SGD, momentum=0.5, weight_decay=0.2))
    assert {(entry.groups[0]['momentum'], entry.groups[0]['weight_decay']) for entry in life.seen} == {(0.5, 0.2)}
    adam = dict(type='AdamW', lr=1e-3, betas=(0.9, 0.99))
    train(folder / 'adam', 5, optimizer=adam)
    saved = read_checkpoint(folder / 'adam' / 'iter_5.pth')['optimizer']['state']
    life = train(folder / 'adam', 5, resume=True, optimizer=dict(adam, betas=(0.8, 0.95)))
    optimizer = life.runner.optim_wrapper.optimizer
    assert tuple(optimizer.param_groups[0]['betas']) == (0.8, 0.95)
    assert equal(optimizer.state_dict()['state'], saved)


@row('`paramwise_cfg`')
def _(folder: Path) -> None:
    train(folder, 5, schedule=STEPS)
    saved = read_checkpoint(folder / 'iter_5.pth')['optimizer']['state']
    parts = dict(optim_wrapper__paramwise_cfg=dict(custom_keys={'second': dict(lr_mult=0.1, decay_mult=0)}))
    stopped = train(folder, 5, resume=True, schedule=STEPS, **parts)
    assert equal(list(momenta(stopped).values()), [saved[number]['momentum_buffer'] for number in range(4)])
    life = train(folder, resume=True, schedule=STEPS, **parts)
    assert [group['lr'] for group in life.seen[0].groups] == pytest.approx([0.1, 0.1, 0.01, 0.01])
    assert [group['weight_decay'] for group in life.seen[0].groups] == [0.01, 0.01, 0.0, 0.0]


@row('`param_scheduler.milestones`, `gamma` or another schedule')
def _(folder: Path) -> None:
    _, life = changed(folder, stop=13, schedule=[dict(STEPS[0], milestones=[2], gamma=0.5)])
    assert life.rates == pytest.approx([0.1] * 3 + [0.05] * 8, rel=1e-9)
    assert 'param_scheduler.0.gamma 0.1 → 0.5, param_scheduler.0.milestones [1, 4] → [2]' in life.said('differ')[0]
    cycle = [dict(type='OneCycleLR', eta_max=0.2, total_steps=24, by_epoch=False)]
    life = train(folder / 'other', resume=folder / 'iter_13.pth', schedule=cycle)
    assert life.rates == pytest.approx([one_cycle(step, 24, 0.2) for step in range(13, 24)], rel=1e-9)


@row('`train_cfg.max_epochs`, larger')
def _(folder: Path) -> None:
    train(folder, schedule=STEPS)
    life = train(folder, resume=True, schedule=STEPS, train_cfg__max_epochs=5)
    assert life.rates == pytest.approx([1e-2] * 8 + [1e-3] * 8, rel=1e-9)
    assert by_epoch(life) == [ALL] * 2 and life.said('differ')[0].endswith('train_cfg.max_epochs 3 → 5')


@row('`train_cfg.max_iters` and `total_steps`, larger')
def _(folder: Path) -> None:
    def options(total: int, steps: int) -> dict[str, Any]:
        cycle = dict(type='OneCycleLR', eta_max=0.1, total_steps=steps, by_epoch=False)
        return dict(schedule=[cycle], train_cfg__max_iters=total)

    train(folder, **options(10, 10))
    with pytest.raises(InputError, match=r'set param_scheduler\.total_steps=14, too'):
        train(folder, resume=True, **options(14, 10))
    life = train(folder, resume=True, **options(14, 14))
    assert life.rates == pytest.approx([one_cycle(step, 14) for step in range(10, 14)], rel=1e-9)


@row('`max_epochs` or `max_iters`, to less than is done')
def _(folder: Path) -> None:
    for options in (dict(train_cfg__max_epochs=1), dict(train_cfg__max_iters=10)):
        _, life = changed(folder, stop=13, **options)
        assert life.seen == [] and len(life.said('nothing is left to train: iteration 13 is done')) == 1
    with pytest.raises(InputError, match='max_iters=0: train at least one iteration'):
        train(folder, train_cfg__max_iters=0)


@row('`optim_wrapper.accumulative_counts`')
def _(folder: Path) -> None:
    train(folder, 6, optim_wrapper__accumulative_counts=3)
    life = train(folder, 13, resume=True, optim_wrapper__accumulative_counts=4, default_hooks__checkpoint__interval=12)
    weights = [entry.weight for entry in life.seen]
    stepped = [entry.iteration for entry, after in zip(life.seen, weights[1:], strict=False) if entry.weight != after]
    assert stepped == [7, 11]  # with the eighth batch of the training, of which two are new, and with the twelfth


@row('`optimizer.type`')
def _(folder: Path) -> None:
    _, life = changed(folder, optimizer=dict(type='AdamW', lr=1e-3))
    assert len(life.said('the state of the optimizer starts anew')) == 1 and life.runner.iter == 24
    assert {float(state['step']) for state in life.runner.optim_wrapper.optimizer.state.values()} == {19.0}


@row('`num_workers`')
def _(folder: Path) -> None:
    whole = train(folder / 'whole', schedule=STEPS)
    first, life = changed(folder, train_dataloader__num_workers=1)
    assert first.numbers + life.numbers == whole.numbers
    one, other = (read_checkpoint(path / 'iter_24.pth')['state_dict'] for path in (folder, folder / 'whole'))
    assert equal(one, other)


@row('`randomness.seed`')
def _(folder: Path) -> None:
    first, life = changed(folder, randomness__seed=5)
    assert by_epoch(first, life) == [ALL] * 3
    assert first.numbers + life.numbers == train(folder / 'whole').numbers
    assert len(life.said('random seed')) == 1


@row('layers of the model')
def _(folder: Path) -> None:
    with pytest.raises(InputError, match='does not fit TwoLayers as configured'):
        changed(folder, model__features=3)
    checkpoint = torch.load(folder / 'iter_5.pth', weights_only=True)
    checkpoint['optimizer']['param_groups'][0]['params'].pop()
    torch.save(checkpoint, folder / 'other.pth')
    with pytest.raises(InputError, match='has the state of an optimizer of other parameters'):
        train(folder, resume=folder / 'other.pth')
