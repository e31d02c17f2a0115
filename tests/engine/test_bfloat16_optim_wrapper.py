"""The bfloat16 wrapper is mmengine's ``OptimWrapper`` in everything but the type of what the forward pass computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import Tensor, nn

from mmdark.engine import Bfloat16OptimWrapper


class Curve(nn.Module):
    """A convolution, and a record of whether its gradients would be exchanged with other processes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 3, 3)
        self.types: list[torch.dtype] = []
        self.synchronised: list[bool] = []
        self._sync = True

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        self._sync = False
        yield
        self._sync = True

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        self.types.append(y.dtype)
        self.synchronised.append(self._sync)
        return y.float().square().mean()


def wrapped(model: nn.Module, kind: type[OptimWrapper] = Bfloat16OptimWrapper, **options: object) -> OptimWrapper:
    return kind(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), **options)


def images(count: int) -> list[Tensor]:
    return list(torch.rand(count, 2, 2, 8, 8, generator=torch.Generator().manual_seed(1)))


def train(model: nn.Module, wrapper: OptimWrapper, batches: list[Tensor]) -> None:
    for batch in batches:
        with wrapper.optim_context(model):
            loss = model(batch)
        wrapper.update_params(loss)


def weights(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_forward_is_bfloat16_and_weights_gradients_and_loss_are_not() -> None:
    model = Curve()
    wrapper = wrapped(model)
    with wrapper.optim_context(model):
        loss = model(images(1)[0])
    wrapper.backward(loss)
    assert model.types == [torch.bfloat16] and loss.dtype == torch.float32
    assert {x.dtype for p in model.parameters() for x in (p, p.grad)} == {torch.float32}
    model(images(1)[0])  # a validation, outside
    assert model.types[-1] == torch.float32


def test_a_step_is_near_that_of_float32_but_not_the_same() -> None:
    found = []
    for kind in (Bfloat16OptimWrapper, OptimWrapper):
        model = Curve()
        train(model, wrapped(model, kind), images(4))
        found.append(torch.cat([p.flatten() for p in weights(model)]))
    start = torch.cat([p.flatten() for p in weights(Curve())])
    difference = float((found[0] - found[1]).norm() / (found[1] - start).norm())
    assert 1e-5 < difference < 0.02


def test_accumulation_takes_one_step_of_the_mean_gradient_and_exchanges_once() -> None:
    batches, model, alone = images(4), Curve(), Curve()
    wrapper = wrapped(model, accumulative_counts=4)
    wrapper.initialize_count_status(model, 0, 8)
    for number, batch in enumerate(batches):
        before = weights(model)
        train(model, wrapper, [batch])
        moved = any(not torch.equal(x, y) for x, y in zip(before, weights(model), strict=True))
        assert moved == (number == 3)
    gradients = []
    for batch in batches:
        with torch.autocast('cpu', torch.bfloat16):
            loss = alone(batch)
        gradients.append(torch.autograd.grad(loss, tuple(alone.parameters())))
    for start, end, each in zip(weights(alone), weights(model), zip(*gradients, strict=True), strict=True):
        assert torch.allclose(end, start - 0.1 * sum(each) / 4, atol=1e-7)
    assert model.synchronised == [False, False, False, True]


def test_clipping_bounds_the_gradient_of_float32() -> None:
    model = Curve()
    wrapper, before = wrapped(model, clip_grad=dict(max_norm=0.01)), weights(model)
    train(model, wrapper, images(1))
    step = torch.cat([(x - y).flatten() for x, y in zip(weights(model), before, strict=True)])
    assert float(step.norm()) == pytest.approx(0.1 * 0.01, rel=1e-3)


@pytest.mark.parametrize('first', [Bfloat16OptimWrapper, OptimWrapper])
def test_state_goes_from_one_wrapper_to_the_other(first: type[OptimWrapper]) -> None:
    """A training in float32 goes on in bfloat16, and the other way round: nothing is kept besides the optimizer."""
    second = OptimWrapper if first is Bfloat16OptimWrapper else Bfloat16OptimWrapper
    model, other = Curve(), Curve()
    one, two = wrapped(model, first), wrapped(other, second)
    train(model, one, images(2))
    state = one.state_dict()
    assert set(state) == set(two.state_dict()) == {'state', 'param_groups'}
    other.load_state_dict(model.state_dict())
    two.load_state_dict(state)
    for x, y in zip(state['state'].values(), two.state_dict()['state'].values(), strict=True):
        assert torch.equal(x['momentum_buffer'], y['momentum_buffer']) and x['momentum_buffer'].any()
    train(other, two, images(1))


def test_it_is_built_from_a_config_with_groups() -> None:
    model = Curve()
    options = dict(optimizer=dict(type='SGD', lr=0.1), paramwise_cfg=dict(bias_lr_mult=0.5), clip_grad=dict(max_norm=1))
    wrapper = build_optim_wrapper(model, dict(type='Bfloat16OptimWrapper', **options))
    assert type(wrapper) is OPTIM_WRAPPERS.get('Bfloat16OptimWrapper') is Bfloat16OptimWrapper
    assert [group['lr'] for group in wrapper.optimizer.param_groups] == [0.1, 0.05]
