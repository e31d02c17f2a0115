"""Batch norm's statistics are one and the same on all processes, in validations and in checkpoints."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdark.compat import read_checkpoint
from mmdark.engine.hooks import AverageBuffers, ValidationLoss, average_buffers
from tests.engine.world_validation import ITERATIONS, STOP, TRAININGS, lite_config, main
from tests.tiny_wider import write_wider
from tests.two_processes import run_two_processes


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two iterations of two processes make an epoch; five images of each light are not the same number for both."""
    return f'{write_wider(tmp_path_factory.mktemp("data") / "wider", train=8, val=5)}/'


@pytest.fixture(scope='module')
def folder(root: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings of two processes, and what both have found."""
    made = tmp_path_factory.mktemp('buffers')
    run_two_processes(main, root, made)
    return made


@pytest.fixture(scope='module')
def found(folder: Path) -> list[dict[str, dict]]:
    """By process, then by training."""
    return [torch.load(folder / f'found_{rank}.pt') for rank in (0, 1)]


@pytest.mark.parametrize('name', TRAININGS)
@pytest.mark.parametrize('kind', ['whole', 'resumed'])
def test_after_each_iteration_all_have_the_mean(name: str, kind: str, found: list[dict[str, dict]]) -> None:
    first, second = (of_rank[f'{name}, {kind}'] for of_rank in found)
    assert len(first['after']) == (ITERATIONS if kind == 'whole' else ITERATIONS - STOP)
    for step, after in enumerate(first['after']):
        one, other = first['before'][step], second['before'][step]
        moved = [each for each in after if not torch.equal(one[each], other[each])]
        assert len(moved) > 20 and all('running_' in each for each in moved)
        for each, value in after.items():
            assert torch.equal(value, second['after'][step][each])
            assert torch.equal(value, ((one[each].double() + other[each].double()) / 2).to(value.dtype))


@pytest.mark.parametrize('name', TRAININGS)
def test_the_logged_numbers_are_those_of_the_checkpoint(
    name: str, root: str, folder: Path, found: list[dict[str, dict]], tmp_path: Path
) -> None:
    """Reference: one process tests the file that was saved beside the validation."""
    work_dir = folder / f'{name}, whole'
    for validation, logged in enumerate(found[0][work_dir.name]['metrics'], start=1):
        assert logged == found[1][work_dir.name]['metrics'][validation - 1]
        file = work_dir / f'iter_{2 * validation}.pth'
        runner = Runner.from_cfg(lite_config(root, tmp_path, [], {'load_from': str(file)}))
        tested = runner.test()
        (validation_loss,) = (hook for hook in runner.hooks if isinstance(hook, ValidationLoss))
        validation_loss.after_val_epoch(runner, tested)
        assert tested['dark/wider/AP'] == logged['dark/wider/AP']
        assert tested['day/wider/AP'] == logged['day/wider/AP']
        assert tested['dark/pal2_loss'] == pytest.approx(logged['dark/pal2_loss'], rel=1e-6)
    best = read_checkpoint(work_dir / f'iter_{ITERATIONS}.pth')['message_hub']['runtime_info']['best_score']
    assert best == max(each['dark/wider/AP'] for each in found[0][work_dir.name]['metrics'])


@pytest.mark.parametrize('name', TRAININGS)
def test_a_resume_ends_with_the_same_bits(name: str, folder: Path, found: list[dict[str, dict]]) -> None:
    whole, resumed = (f'{name}, {kind}' for kind in ('whole', 'resumed'))
    for of_rank in found:
        assert of_rank[resumed]['metrics'] == of_rank[whole]['metrics'][-1:]
    wanted, ours = (read_checkpoint(folder / each / f'iter_{ITERATIONS}.pth') for each in (whole, resumed))
    parts = [part for part in wanted if part.endswith('state_dict')]
    assert len(parts) == (1 if name == 'plain' else 2)
    for part in parts:
        assert all(torch.equal(ours[part][key], value) for key, value in wanted[part].items())
    assert ours['message_hub']['runtime_info']['best_score'] == wanted['message_hub']['runtime_info']['best_score']


class Buffers(nn.Module):
    """Buffers of each kind."""

    def __init__(self, saved: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer('mean', torch.rand(3), persistent=False)
        if saved:
            self.register_buffer('low', torch.rand(2, 2, dtype=torch.float16))
            self.register_buffer('statistics', torch.rand(1000))
            self.register_buffer('count', torch.tensor(7))


@pytest.mark.parametrize('saved', [True, False])
def test_what_is_the_same_on_three_processes_keeps_its_bits(saved: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = []

    def all_reduce(numbers: Tensor, op: str) -> None:
        messages.append((len(numbers), op))
        numbers.copy_((numbers + numbers + numbers) / 3)

    monkeypatch.setattr(average_buffers, 'get_world_size', lambda: 3)
    monkeypatch.setattr(average_buffers, 'all_reduce', all_reduce)
    hook, model = AverageBuffers(), Buffers(saved)
    runner = SimpleNamespace(model=model)
    hook.before_train(runner)
    before = {name: value.clone() for name, value in model.named_buffers()}
    hook.after_train_iter(runner, 0)
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    assert messages == ([(1004, 'mean')] if saved else [])
