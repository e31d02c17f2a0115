"""Losses and norms that are read once per interval of the log: the same log, and hardly a wait."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.runner import Runner

from mmdark.compat import read_checkpoint
from mmdark.engine.scalar_queue import ScalarQueue
from mmdark.errors import InputError
from tests.host_waits import host_waits
from tests.tiny_wider import lite_config, write_wider

LATER = {'default_hooks.runtime_info.later': True, 'default_hooks.logger.interval': 3}
ITERATIONS = 8


@pytest.fixture(scope='module')
def wider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wider(tmp_path_factory.mktemp('data') / 'wider', train=10, val=1)


def training(wider: Path, work_dir: Path, **options: Any) -> Runner:
    """Of DAI-Net with SGD, as in the main config; Adam asks for its steps, on a CPU."""
    cfg = lite_config(wider, work_dir, ITERATIONS, {'train_dataloader.num_workers': 1, **LATER, **options})
    cfg.optim_wrapper.optimizer = dict(type='SGD', lr=1e-3, momentum=0.9)
    cfg.visualizer.name = cfg.experiment_name  # one of the same name goes on writing to its own folder
    return Runner.from_cfg(cfg)


def test_numbers_are_exact_and_in_order() -> None:
    queue, seen = ScalarQueue(), []
    values = [torch.tensor(1 / 3), torch.tensor(0.1, dtype=torch.bfloat16), torch.tensor([7.0])]
    for value in values:
        queue.add({'a': value, 'b': -value}, seen.append)
    with host_waits() as asked:
        queue.read()
    assert seen == [{'a': value.item(), 'b': -value.item()} for value in values]
    assert asked == ['tolist'] and not len(queue)
    queue.read()
    assert len(seen) == 3


def test_the_host_waits_once_per_interval_of_the_log(wider: Path, tmp_path: Path, monkeypatch: Any) -> None:
    # mmengine asks whether images of different sizes must be padded: a tensor that is on the CPU on any machine.
    monkeypatch.setattr(
        'mmengine.model.base_model.data_preprocessor.stack_batch', lambda images, *_: torch.stack(images)
    )
    runner, waits = training(wider, tmp_path), []
    run_iter = with_loop(runner).run_iter

    def counted(*given: Any) -> None:
        with host_waits() as asked:
            run_iter(*given)
        waits.append(asked)

    runner._train_loop.run_iter = counted
    runner.train()
    # The first one builds the priors; five make an epoch, whose last one is logged, too; the eighth saves a checkpoint.
    assert waits[1:7] == [[], ['tolist'], [], ['tolist'], [], []]


def with_loop(runner: Runner) -> Any:
    """Its loop, which a Runner builds when it begins to train."""
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    return runner._train_loop


def log_of(work_dir: Path) -> list[dict[str, float]]:
    (scalars,) = work_dir.rglob('scalars.json')
    lines = map(json.loads, scalars.read_text().splitlines())
    return [{name: value for name, value in line.items() if 'time' not in name} for line in lines]


def test_the_log_and_the_checkpoints_are_the_same(wider: Path, tmp_path: Path) -> None:
    options = {'default_hooks.checkpoint.interval': 4}
    for later in (True, False):
        training(wider, tmp_path / f'{later}', **options, **{'default_hooks.runtime_info.later': later}).train()
    log = log_of(tmp_path / 'True')
    assert log == log_of(tmp_path / 'False') and [line['iter'] for line in log] == [3, 8]
    assert {'loss', 'loss_mutual', 'grad_norm', 'lr'} <= log[0].keys()
    for name in ('iter_4.pth', 'iter_8.pth'):
        one, other = (
            read_checkpoint(tmp_path / f'{later}' / name)['message_hub']['log_scalars'] for later in (True, False)
        )
        assert one.keys() == other.keys()
        for key in one:
            if 'time' not in key:
                assert one[key].data[0].tolist() == other[key].data[0].tolist(), key


def test_a_loss_that_is_no_number_is_found_before_the_checkpoint(wider: Path, tmp_path: Path) -> None:
    runner = training(wider, tmp_path, **{'default_hooks.checkpoint.interval': 2, 'default_hooks.logger.interval': 50})
    run_iter = with_loop(runner).run_iter

    def spoil(idx: int, batch: dict) -> None:
        if runner.iter == 2:
            runner.model.losses.mutual.loss_weight = float('nan')
        run_iter(idx, batch)

    runner._train_loop.run_iter = spoil
    with pytest.raises(InputError, match=r'^iteration 3: loss_mutual = nan, on .*train_\d.jpg'):
        runner.train()
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_2.pth']
