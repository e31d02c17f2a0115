"""Gradients that several batches gather before the optimizer takes its step, killed and resumed, too."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mmdark.compat import read_checkpoint
from mmdark.errors import InputError
from tests.engine.test_epoch_loop import Killed, Record, equal, make


def accumulate(work_dir: Path, record: Record, counts: int, interval: int = 1, **options: Any) -> Any:
    """Ten numbers in batches of three, as in the tests of the loop: four batches an epoch, five epochs."""
    runner = make(work_dir, record, **options)
    runner.optim_wrapper['accumulative_counts'] = counts
    runner.hooks[:] = [hook for hook in runner.hooks if type(hook).__name__ != 'CheckpointHook']
    runner.register_hook({'type': 'CheckpointHook', 'by_epoch': False, 'interval': interval})
    return runner


@pytest.mark.parametrize('counts', [2, 3, 8])
def test_steps_are_those_of_plain_torch(counts: int, tmp_path: Path) -> None:
    """Groups go on from one epoch into the next; the last one, the rest of the training, is divided by its length."""
    record = Record()
    runner = accumulate(tmp_path, record, counts, interval=-1)
    line = runner.model.line
    weights, bias = line.weight.detach().clone(), line.bias.detach().clone()
    runner.train()
    model = torch.nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.copy_(weights), model.bias.copy_(bias)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    batches = [(torch.tensor(numbers)[:, None], rate) for _, _, numbers, rate in record.seen]
    assert len(batches) == 20
    steps = 0
    for start in range(0, 20, counts):
        group = batches[start : start + counts]
        for inputs, _ in group:
            (((model(inputs) - 0.3 * inputs) ** 2).mean() / len(group)).backward()
        optimizer.param_groups[0]['lr'] = group[-1][1]
        optimizer.step()
        optimizer.zero_grad()
        steps += 1
    assert steps == -(-20 // counts)
    assert float(line.weight.detach()) == pytest.approx(float(model.weight.detach()), rel=1e-6)
    assert float(line.bias.detach()) == pytest.approx(float(model.bias.detach()), rel=1e-6)


def test_two_batches_of_two_are_one_of_four(tmp_path: Path) -> None:
    """Where each batch's loss is a mean over its images: ten numbers would leave a smaller batch, so eight are used."""
    ends = []
    for batch, counts in ((4, 1), (2, 2)):
        runner = accumulate(tmp_path / str(counts), Record(), counts, interval=-1, batch_size=batch)
        runner._train_loop['max_epochs'] = 2
        runner._train_dataloader['dataset'] = runner._train_dataloader['dataset'][:8]
        runner._train_loop['dataloader'] = runner._train_dataloader
        runner.param_schedulers = None
        runner.train()
        assert runner.iter == 4 * counts
        ends.append(torch.cat([parameter.detach().flatten() for parameter in runner.model.parameters()]))
    assert torch.allclose(*ends, rtol=1e-6)


@pytest.mark.parametrize('stop', [6, 9, 18])
def test_killed_and_resumed_is_uninterrupted(stop: int, tmp_path: Path) -> None:
    """Groups of three, epochs of four: 6 is in the middle of an epoch, 18 before the last, smaller group."""
    accumulate(tmp_path / 'whole', Record(), 3, interval=3).train()
    with pytest.raises(Killed):
        accumulate(tmp_path, Record(kill_at=stop), 3, interval=3).train()
    assert read_checkpoint(tmp_path / f'iter_{stop}.pth')['meta']['iter'] == stop
    accumulate(tmp_path, Record(), 3, interval=3, resume=True).train()
    whole, resumed = (read_checkpoint(folder / 'iter_20.pth') for folder in (tmp_path / 'whole', tmp_path))
    assert equal(whole['state_dict'], resumed['state_dict']) and equal(whole['optimizer'], resumed['optimizer'])


def test_a_checkpoint_between_two_steps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r'checkpoint\.interval=4 \(iterations\).*accumulative_counts=3.*multiples of 3'
    ):
        accumulate(tmp_path, Record(), 3, interval=4).train()
    runner = accumulate(tmp_path, Record(), 3)
    runner.hooks[-1].by_epoch = True
    with pytest.raises(InputError, match=r'\(epochs\).*by_epoch=False'):
        runner.train()
