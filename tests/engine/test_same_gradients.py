"""Two gloo processes with two images each take the steps of one process with four: the same losses and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.engine.world_gradients import ALONE, STEPS, TOGETHER, first_steps, main
from tests.tiny_wider import write_wider
from tests.two_processes import run_two_processes


@pytest.fixture(scope='module')
def steps(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict], list[dict[str, dict]]]:
    """Of one process, and of both of two; by the names of the trainings."""
    folder = tmp_path_factory.mktemp('gradients')
    root = f'{write_wider(folder / "wider", train=12, val=1)}/'
    alone = {name: first_steps(root, str(folder / 'alone'), name, options) for name, options in ALONE.items()}
    run_two_processes(main, root, str(folder))
    return alone, [torch.load(folder / f'steps_{rank}.pt') for rank in (0, 1)]


def base(name: str) -> str:
    """The training of one process with which one of two processes is compared."""
    return max((each for each in ALONE if name.startswith(each)), key=len)


def check_near(ours: list[Tensor], theirs: list[Tensor], tolerance: float) -> None:
    """The distance of all numbers together, beside their norm."""
    ours, theirs = (torch.cat([value.double().flatten() for value in values]) for values in (ours, theirs))
    assert float((ours - theirs).norm()) <= tolerance * float(theirs.norm())


@pytest.mark.parametrize('name', TOGETHER)
def test_losses(name: str, steps: tuple[dict[str, dict], list[dict[str, dict]]]) -> None:
    wanted = steps[0][base(name)]['losses']
    assert len(wanted) == STEPS * (2 if 'accumulated' in name else 1) and len(wanted[0]) == 11
    for rank in (0, 1):
        found = steps[1][rank][name]['losses']
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            # loss_mutual is a small difference of large numbers: float32 leaves it an error of that size
            cancelled = 0 if 'float64' in name else 1e-8
            assert ours == pytest.approx(theirs, rel=1e-2 if 'bfloat16' in name else 1e-6, abs=cancelled)


@pytest.mark.parametrize('name', TOGETHER)
def test_gradients(name: str, steps: tuple[dict[str, dict], list[dict[str, dict]]]) -> None:
    """In float64 each number of each weight's gradient; what is rounded off to float32 differs in the sixth digit."""
    wanted = steps[0][base(name)]['gradients']
    first, second = (of_rank[name]['gradients'] for of_rank in steps[1])
    assert len(wanted) == len(first) == len(second) == STEPS
    for step, (ours, theirs) in enumerate(zip(first, wanted, strict=True)):
        assert ours.keys() == theirs.keys() == second[step].keys() and len(theirs) == 190
        assert all(torch.equal(value, second[step][weight]) for weight, value in ours.items())
        for weight, value in theirs.items():
            if 'float64' in name:
                furthest = float((ours[weight] - value).abs().max())
                assert furthest <= 1e-6 * float(value.abs().max()), (step, weight)
            elif 'bfloat16' in name:
                check_near([ours[weight]], [value], 1e-2)
        check_near([ours[weight] for weight in theirs], list(theirs.values()), 1e-2 if 'bfloat16' in name else 1e-6)
