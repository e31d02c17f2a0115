"""Channels-last order changes where numbers lie, not what they are, nor what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from mmdark.compat import read_checkpoint
from mmdark.engine.hooks import ChannelsLast
from tests.models.tiny_models import pair_of, samples_of, tiny_dai_net
from tests.tiny_wider import lite_runner, write_wider

FACES = ([[10.0, 12, 30, 34], [60, 20, 70, 32]], [])
HOOK = [{'type': 'ChannelsLast'}]


def reordered(model: nn.Module) -> nn.Module:
    ChannelsLast().before_train(SimpleNamespace(model=model, optim_wrapper=OptimWrapperDict()))
    return model


def in_order(x: Tensor) -> bool:
    """Channels last, or of one channel or one pixel, where both orders are the same."""
    return x.is_contiguous(memory_format=torch.channels_last)


def convolutions(model: nn.Module) -> list[Tensor]:
    return [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize('teacher', ['retinex', 'max_rgb'])
def test_losses_and_gradients_are_the_same(teacher: str) -> None:
    plain = tiny_dai_net(teacher)
    model = reordered(deepcopy(plain))
    assert all(in_order(weight) for weight in convolutions(model))
    assert not all(in_order(weight) for weight in convolutions(plain))
    found = []
    for each in (plain, model):
        total, log = each.parse_losses(each.loss(pair_of(), samples_of(*FACES)))
        total.backward()
        found.append(({name: float(value.detach()) for name, value in log.items()}, each))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    for (name, one), other in zip(plain.named_parameters(), model.parameters(), strict=True):
        if one.requires_grad:
            assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-4 * float(one.grad.abs().max())), name


def test_nothing_on_the_way_falls_back() -> None:
    """Images come in the usual order; from the first convolution on, every map is in the other, also for the losses."""
    model, fell_back = reordered(tiny_dai_net()), []

    def look(name: str, answer: object) -> None:
        maps = answer if isinstance(answer, (tuple, list)) else [answer]
        if not all(in_order(x) for x in maps if isinstance(x, Tensor) and x.dim() == 4):
            fell_back.append(name)

    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, __, answer, name=name: look(name, answer))
    with torch.autocast('cpu', torch.bfloat16):
        model.loss(pair_of(), samples_of(*FACES))
    assert not fell_back


def test_checkpoints_are_in_the_usual_order_and_training_resumes_bit_for_bit(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=4, val=1)
    often = {'default_hooks.checkpoint.interval': 2, 'custom_hooks': HOOK, 'param_scheduler.total_steps': 4}
    runner = lite_runner(root, tmp_path / 'whole', 4, often)
    runner.train()
    assert all(in_order(weight) for weight in convolutions(runner.model))
    middle, end = (tmp_path / 'whole' / f'iter_{number}.pth' for number in (2, 4))
    wanted = read_checkpoint(end)['state_dict']
    assert all(value.is_contiguous() for value in wanted.values())

    plain = lite_runner(root, tmp_path / 'plain', 4, {'load_from': str(end)})
    assert {name: value.shape for name, value in wanted.items()} == {
        name: value.shape for name, value in plain.model.state_dict().items()
    }
    plain.load_or_resume()
    assert all(torch.equal(value, wanted[name]) for name, value in plain.model.state_dict().items())

    again = lite_runner(root, tmp_path / 'again', 4, {**often, 'load_from': str(middle), 'resume': True})
    again.train()
    assert again.iter == 4 and all(in_order(weight) for weight in convolutions(again.model))
    resumed = read_checkpoint(tmp_path / 'again' / 'iter_4.pth')
    assert all(torch.equal(value, wanted[name]) for name, value in resumed['state_dict'].items())
    assert any(not torch.equal(value, wanted[name]) for name, value in read_checkpoint(middle)['state_dict'].items())


@pytest.mark.parametrize('make', [partial(SGD, lr=0.1, momentum=0.9, fused=True), partial(AdamW, lr=0.1, fused=True)])
def test_what_an_optimizer_keeps_follows_its_weights(make: Callable[..., Optimizer]) -> None:
    """A resume gives the optimizer momenta in the usual order, and back. Fused ones would mix their numbers up."""
    torch.manual_seed(0)
    model = nn.Conv2d(3, 4, 3)
    images = torch.rand(3, 2, 3, 8, 8)
    try:
        trial = deepcopy(model)
        trial(images[0]).sum().backward()
        make(trial.parameters()).step()
    except (RuntimeError, TypeError):
        pytest.skip('this torch has no fused optimizers on CPUs')

    def train(model: nn.Module, wrapper: OptimWrapper, images: Tensor) -> None:
        for batch in images:
            wrapper.update_params(model(batch).square().mean())

    def resumed(state: dict, weights: dict) -> tuple[nn.Module, OptimWrapper]:
        again = deepcopy(model)
        again.load_state_dict(weights)
        wrapper = OptimWrapper(make(again.parameters()))
        wrapper.optimizer.load_state_dict(deepcopy(state))
        return again, wrapper

    wrapper = OptimWrapper(make(model.parameters()))
    train(model, wrapper, images[:1])
    state, weights = wrapper.optimizer.state_dict(), deepcopy(model.state_dict())
    usual, usual_wrapper = resumed(state, weights)
    train(usual, usual_wrapper, images[1:])

    other, other_wrapper = resumed(state, weights)
    ChannelsLast().before_train(SimpleNamespace(model=other, optim_wrapper=OptimWrapperDict(conv=other_wrapper)))
    train(other, other_wrapper, images[1:2])
    checkpoint = {'state_dict': other.state_dict(), 'optimizer': other_wrapper.optimizer.state_dict()}
    ChannelsLast().before_save_checkpoint(None, checkpoint)
    last, last_wrapper = resumed(checkpoint['optimizer'], checkpoint['state_dict'])
    train(last, last_wrapper, images[2:])
    assert torch.allclose(last.weight, usual.weight, rtol=1e-5, atol=1e-6)
