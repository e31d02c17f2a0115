"""Compiled parts compute what the others do, under the same names, and only where gradients are taken."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel
from packaging.version import Version
from torch import Tensor, nn

from mmdark.engine.hooks import CompileParts
from mmdark.engine.hooks.compile_parts import TORCH
from mmdark.errors import InputError
from tests.models.tiny_models import pair_of, samples_of, tiny_dai_net, tiny_dsfd
from tests.tiny_wider import lite_runner, write_wider

pytestmark = pytest.mark.skipif(
    Version(torch.__version__) < TORCH, reason='older torch breaks the parts into pieces; the hook refuses it'
)
FACES = ([[10.0, 12, 30, 34], [60, 20, 70, 32]], [])


class Graphs:
    """A backend of ``torch.compile`` that counts its programs and how often they run, and computes as ever."""

    def __init__(self) -> None:
        self.programs = self.calls = 0

    def __call__(self, module: nn.Module, example: list[Tensor]) -> object:
        self.programs += 1

        def run(*args: Tensor) -> object:
            self.calls += 1
            return module.forward(*args)

        return run


def started(model: nn.Module, hook: CompileParts) -> SimpleNamespace:
    torch._dynamo.reset()
    runner = SimpleNamespace(model=model, logger=MMLogger.get_instance('compile', log_level='ERROR'))
    hook.before_train(runner)
    return runner


def step(model: nn.Module) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Losses and gradients of one step."""
    model.zero_grad()
    total, log = model.parse_losses(model.loss(pair_of(), samples_of(*FACES)))
    total.backward()
    return (
        {name: float(value.detach()) for name, value in log.items()},
        {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad},
    )


def check_same(one: tuple, other: tuple) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-4)
    for name, gradient in one[1].items():
        assert torch.allclose(gradient, other[1][name], rtol=1e-3, atol=1e-4 * float(gradient.abs().max())), name


def test_every_part_is_one_program_without_breaks_and_the_step_stays_the_same() -> None:
    model, graphs = tiny_dai_net(), Graphs()
    names, wanted = list(model.state_dict()), step(model)
    hook = CompileParts(backend=graphs, fullgraph=True)
    runner = started(model, hook)
    check_same(wanted, step(model))
    assert graphs.programs == 5  # stem, stages, neck, decoder, teacher
    assert graphs.calls == 2 + 1 + 1 + 4 + 2
    check_same(wanted, step(model))
    assert graphs.programs == 5
    assert list(model.state_dict()) == names and len(list(model.parameters())) == len(wanted[1]) + 14
    hook.after_train(runner)
    step(model)
    assert graphs.calls == 20 and not {'stem', 'forward_stages', 'forward'} & set(vars(model.detector.backbone))


@pytest.mark.one_family
def test_the_real_compiler_agrees() -> None:
    """One small part, because machine code takes long to make."""
    model = tiny_dai_net('max_rgb')
    plain = deepcopy(model)
    started(model, CompileParts(parts=['reflectance_decoder']))
    check_same(step(plain), step(model))


def test_without_gradients_nothing_is_compiled() -> None:
    """A validation brings images of any size."""
    model, graphs = tiny_dsfd().eval(), Graphs()
    started(model, CompileParts(backend=graphs))
    with torch.no_grad():
        for side in (64, 96):
            model.predict(torch.rand(1, 3, side, 80), samples_of([], size=(side, 80)))
    assert graphs.programs == graphs.calls == 0


def test_a_program_for_each_size_of_batch() -> None:
    """The usual batch and the last one of an epoch; torch would else make the second program slower, for any size."""
    decoder, graphs = tiny_dai_net('max_rgb').reflectance_decoder, Graphs()
    started(nn.ModuleDict({'decoder': decoder}), CompileParts(parts=['decoder'], backend=graphs))
    for batch in (4, 3, 2, 4, 3):
        decoder(torch.rand(batch, 8, 6, 6), (12, 12))
    assert (graphs.programs, graphs.calls) == (3, 5)


def test_parts_are_those_the_model_has() -> None:
    model, graphs = tiny_dsfd(), Graphs()
    started(model, CompileParts(backend=graphs))
    model.parse_losses(model.loss(pair_of()['light'], samples_of(*FACES)))[0].backward()
    assert graphs.programs == 3
    with pytest.raises(InputError, match=r'CompileParts: DSFD has no enhancer, nock; name in parts what it has'):
        started(tiny_dsfd(), CompileParts(parts=['neck', 'enhancer', 'nock']))
    with pytest.raises(InputError, match=r'has no backbone\.stem'):
        started(nn.Linear(1, 1), CompileParts())


def test_in_a_training_and_its_checkpoint(tmp_path: Path) -> None:
    root, graphs = write_wider(tmp_path / 'wider', train=4, val=1), Graphs()
    kept = {}
    for compiled in (False, True):
        torch._dynamo.reset()
        runner = lite_runner(root, tmp_path / str(compiled), 3)
        if compiled:
            runner.register_hook(CompileParts(backend=graphs))
        runner.train()
        kept[compiled] = torch.load(tmp_path / str(compiled) / 'iter_3.pth', weights_only=True)['state_dict']
    assert graphs.programs > 0 and graphs.calls >= 3 * graphs.programs
    assert list(kept[False]) == list(kept[True])
    for name, value in kept[False].items():
        assert torch.allclose(value.float(), kept[True][name].float(), rtol=1e-3, atol=1e-4), name


@pytest.mark.usefixtures('one_process')
def test_inside_the_wrapper_of_several_processes() -> None:
    model, graphs = tiny_dai_net(), Graphs()
    wanted = step(model)
    model.zero_grad()
    wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
    started(wrapped, CompileParts(backend=graphs))
    model.parse_losses(wrapped(pair_of(), samples_of(*FACES), mode='loss'))[0].backward()
    assert graphs.programs >= 5  # torch cuts them where an exchange of gradients can begin
    found = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    check_same((wanted[0], wanted[1]), (wanted[0], found))
