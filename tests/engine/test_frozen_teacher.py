"""A frozen teacher keeps no graph, is in no group of the optimizer, and in no exchange between processes."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from torch import distributed as dist
from torch import nn

from tests.models.tiny_models import CONFIGS, pair_of, samples_of, tiny_dai_net

FACES = ([[10.0, 12, 30, 34], [60, 20, 70, 32]], [])


CONFIGS_WITH_TEACHER = ('dsfd_dark_wider.py', 'dsfd_dark_lite_wider.py', 'own_data/dsfd_dark_coco.py')


@pytest.mark.parametrize('config', CONFIGS_WITH_TEACHER)
def test_groups_hold_what_is_trained_and_nothing_else(config: str) -> None:
    model = tiny_dai_net()
    groups = build_optim_wrapper(model, Config.fromfile(CONFIGS / config).optim_wrapper).optimizer.param_groups
    held = [id(parameter) for group in groups for parameter in group['params']]
    trained = {id(parameter): name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert sorted(held) == sorted(trained)
    assert not trained.keys() & {id(parameter) for parameter in model.enhancer.parameters()}


def test_the_state_is_the_same_with_any_teacher() -> None:
    states = []
    for teacher in ('retinex', 'max_rgb'):
        model = tiny_dai_net(teacher)
        wrapper = build_optim_wrapper(model, Config.fromfile(CONFIGS / 'dsfd_dark_wider.py').optim_wrapper)
        with wrapper.optim_context(model):
            loss = model.parse_losses(model.loss(pair_of(), samples_of(*FACES)))[0]
        wrapper.update_params(loss)
        states.append(wrapper.state_dict())
    assert states[0]['state'].keys() == states[1]['state'].keys()
    assert states[0]['param_groups'] == states[1]['param_groups']


def test_the_teacher_saves_nothing_for_a_backward_pass() -> None:
    model, images = tiny_dai_net(), pair_of()['light'].requires_grad_()

    def saved_by(frozen: bool) -> int:
        tensors: list[torch.Tensor] = []
        model.enhancer.frozen = frozen
        with torch.autograd.graph.saved_tensors_hooks(lambda x: tensors.append(x) or x, lambda x: x):
            model.enhancer(images)
        return len(tensors)

    assert saved_by(frozen=True) == 0 < saved_by(frozen=False)


@pytest.mark.usefixtures('one_process')
def test_the_teacher_is_not_exchanged() -> None:
    """What DDP reduces in its buckets is what is trained; two steps need no search for unused parameters."""
    model = tiny_dai_net()
    wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
    reduced: list[nn.Parameter] = []

    def exchange(_: object, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
        reduced.extend(bucket.parameters())
        done: torch.futures.Future[torch.Tensor] = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    wrapped.register_comm_hook(None, exchange)
    trained = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    for _ in range(2):
        reduced.clear()
        losses = wrapped(pair_of(), samples_of(*FACES), mode='loss')
        model.parse_losses(losses)[0].backward()
        assert {id(parameter) for parameter in reduced} == trained and len(reduced) == len(trained)
    assert not list(model.enhancer.buffers())  # nor is there anything to broadcast
    assert not trained & {id(parameter) for parameter in model.enhancer.parameters()}
