"""Learning rates and times have names of their own."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmdark.engine.hooks import NameScalars
from mmdark.engine.hooks.name_scalars import named_groups


class Parts(nn.Module):
    """Two modules with a layer norm each, and a third."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({'conv': nn.Conv2d(1, 1, 1), 'l2norm': nn.LayerNorm(2)})
        self.neck = nn.ModuleDict({'conv': nn.Conv2d(1, 1, 1), 'l2norm': nn.LayerNorm(2)})
        self.reflectance_decoder = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))


@pytest.mark.parametrize(
    ('settings', 'expected'),
    [
        ({}, {}),
        ({'custom_keys': {'reflectance_decoder': {'lr_mult': 0.1}}}, {'reflectance_decoder': 0.05}),
        (
            {'custom_keys': {'reflectance_decoder': {'lr_mult': 0.1}, 'l2norm': {'lr_mult': 0.0}}},
            {'reflectance_decoder': 0.05, 'l2norm': 0.0},
        ),
        ({'custom_keys': {'neck': {'lr_mult': 3.0}, 'reflectance_decoder': {'lr_mult': 1.0}}}, {'neck': 1.5}),
        ({'custom_keys': {'neck': {'lr_mult': 2.0}, 'decoder': {'lr_mult': 2.0}}}, {'neck+reflectance_decoder': 1.0}),
        ({'bias_lr_mult': 2.0, 'norm_decay_mult': 0.0}, {'bias': 1.0}),
    ],
)
def test_parts_with_a_learning_rate_of_their_own(settings: dict, expected: dict[str, float]) -> None:
    """The optimizer is built as the Runner does; the model may be wrapped for several processes."""
    model = Parts()
    optimizer = {'type': 'SGD', 'lr': 0.5, 'weight_decay': 0.1}
    build = DefaultOptimWrapperConstructor({'optimizer': optimizer}, settings or None)
    groups = build(model).optimizer.param_groups
    for wrapped in (model, nn.ModuleDict({'module': model})):
        found = named_groups(wrapped, groups)
        assert {name: groups[index]['lr'] for name, index in found.items()} == pytest.approx(expected)


def test_the_rates_are_those_of_the_iteration() -> None:
    """Parts are told apart by where they started, so a warm-up from nothing does not join them."""
    model, hub = Parts(), MessageHub('rates')
    wrapper = DefaultOptimWrapperConstructor(
        {'optimizer': {'type': 'SGD', 'lr': 0.5}}, {'custom_keys': {'neck': {'lr_mult': 0.1}}}
    )(model)
    for group in wrapper.optimizer.param_groups:
        group['initial_lr'], group['lr'] = group['lr'], 0.0
    runner = SimpleNamespace(model=model, optim_wrapper=wrapper, message_hub=hub)
    hook = NameScalars()
    hook.before_train(runner)
    for factor in (0.0, 0.25):
        for group in wrapper.optimizer.param_groups:
            group['lr'] = group['initial_lr'] * factor
        hook.before_train_iter(runner, 0)
    assert hub.log_scalars.keys() == {'train/neck.lr'}
    assert hub.get_scalar('train/neck.lr').data[0].tolist() == pytest.approx([0.0, 0.0125])


def test_the_times_of_a_validation_become_its_own() -> None:
    """Means over the batches of this validation; the next one starts anew."""
    hub = MessageHub('times')
    runner = SimpleNamespace(message_hub=hub, val_dataloader=range(3))
    hub.update_scalar('train/time', 7.0)
    for first in (1.0, 10.0):
        for batch in range(3):
            hub.update_scalar('val/time', first + batch)
            hub.update_scalar('val/data_time', torch.tensor(first))
        NameScalars().after_val_epoch(runner, {})
        assert hub.get_scalar('val/validation/time').current() == pytest.approx(first + 1)
        assert hub.get_scalar('val/validation/data_time').current() == pytest.approx(first)
        assert not {'val/time', 'val/data_time'} & hub.log_scalars.keys()
    assert hub.get_scalar('train/time').current() == 7.0
