"""A checkpoint of another model is refused in one line, where mmengine would test a half random model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from torch import nn

from mmdark.engine.hooks import StrictCheckpoint
from mmdark.errors import InputError
from tests.models.tiny_models import tiny_dai_net
from tests.tiny_wider import lite_runner, write_wider


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


class Wrapped(BaseTTAModel):
    """Wraps the detector as ``--tta`` does."""

    def __init__(self, module: nn.Module) -> None:
        module.test_step = None
        super().__init__(module)

    def merge_preds(self, data_samples_list: list) -> list:
        return data_samples_list


def load(checkpoint: dict, strict: bool = True, wrappers: Sequence[Callable[[nn.Module], nn.Module]] = ()) -> None:
    wrapped = model()
    for wrapper in wrappers:
        wrapped = wrapper(wrapped)
    runner = SimpleNamespace(model=wrapped, _load_from='given.pth')
    StrictCheckpoint(strict).after_load_checkpoint(runner, checkpoint)


@pytest.mark.parametrize('wrappers', [(), (nn.DataParallel,), (Wrapped,), (Wrapped, nn.DataParallel)])
@pytest.mark.parametrize('prefix', ['', 'module.'])
@pytest.mark.parametrize('bare', [False, True])
def test_the_models_own_state_passes(
    wrappers: Sequence[Callable[[nn.Module], nn.Module]], prefix: str, bare: bool
) -> None:
    state = {f'{prefix}{name}': value for name, value in model().state_dict().items()}
    load(state if bare else {'state_dict': state, 'meta': {'iter': 3}}, wrappers=wrappers)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'0.weight': None}, r'it lacks 1 keys \(0\.weight, \.\.\.\) of 4;'),
        ({'9.weight': torch.ones(1)}, r'it has besides 1 keys \(9\.weight, \.\.\.\) of 4;'),
        ({'1.weight': torch.ones(1, 4)}, r'it has in another shape 1 keys \(1\.weight, \.\.\.\) of 4;'),
        ({'1.bias': torch.ones(())}, r'it has in another shape 1 keys \(1\.bias, \.\.\.\) of 4;'),
        (
            {'0.weight': None, '0.bias': None, 'new': torch.ones(1)},
            r'it lacks 2 keys \(0\.weight, \.\.\.\), it has besides 1 keys \(new, \.\.\.\) of 4;',
        ),
    ],
)
@pytest.mark.parametrize('bare', [False, True])
def test_what_does_not_fit_is_counted_and_named(change: dict, said: str, bare: bool) -> None:
    state = {name: value for name, value in {**model().state_dict(), **change}.items() if value is not None}
    with pytest.raises(InputError, match=rf'^given\.pth does not fit Sequential as configured: {said} give') as caught:
        load(state if bare else {'state_dict': state})
    assert '\n' not in str(caught.value)
    with pytest.raises(InputError, match=rf'^given\.pth does not fit Sequential as configured: {said} give'):
        load(state if bare else {'state_dict': state}, wrappers=(Wrapped,))
    load(state if bare else {'state_dict': state}, strict=False)


def test_nothing_at_all() -> None:
    with pytest.raises(InputError, match='it lacks 4 keys'):
        load({'state_dict': {}})


class Seen(Hook):
    """Whether testing went on, and with what in the backbone's first weights."""

    first: float | None = None

    def before_test(self, runner: object) -> None:
        self.first = runner.model.detector.backbone.stages[0][0].conv.weight[0, 0, 0, 0].item()


def test_testing_with_a_checkpoint_of_another_model(tmp_path: Path) -> None:
    """The checkpoint has no reflectance decoder; with ``strict=False`` what fits is loaded."""
    root = write_wider(tmp_path / 'wider', train=1, val=1)
    source = lite_runner(root, tmp_path, options={'model.enhancer': None})
    state = {name: torch.full_like(value, 0.125) for name, value in source.model.state_dict().items()}
    torch.save({'state_dict': state, 'meta': {}}, tmp_path / 'other.pth')
    options = {'load_from': str(tmp_path / 'other.pth')}
    seen = Seen()
    runner = lite_runner(root, tmp_path, options=options)
    runner.register_hook(seen)
    with pytest.raises(InputError, match=r'other\.pth does not fit DAINet.* lacks \d keys \(reflectance_decoder\.'):
        runner.test()
    assert seen.first is None
    runner = lite_runner(root, tmp_path, options={**options, 'default_hooks.strict_checkpoint.strict': False})
    runner.register_hook(seen)
    assert 'dark/wider/AP' in runner.test() and seen.first == 0.125


def test_a_module_with_weights_of_its_own_may_be_missing_as_a_whole() -> None:
    teacher = nn.Linear(3, 1)
    teacher.weights_of_its_own, teacher.needs_weights = True, False
    runner = SimpleNamespace(model=nn.Sequential(nn.Linear(2, 3), teacher), _load_from='given.pth')
    state = runner.model.state_dict()
    for names, fits in (({'0.weight', '0.bias'}, True), (set(state), True), ({'0.weight', '0.bias', '1.bias'}, False)):
        given = {name: value for name, value in state.items() if name in names}
        if fits:
            StrictCheckpoint().after_load_checkpoint(runner, given)
            assert given.keys() == state.keys()  # so that mmengine does not complain either
            assert torch.equal(given['1.weight'], teacher.weight)
        else:
            with pytest.raises(InputError, match=r'it lacks 1 keys \(1\.weight'):
                StrictCheckpoint().after_load_checkpoint(runner, given)


def test_the_teacher_has_weights_of_its_own() -> None:
    """A detector without its teacher's weights, as the converter writes it, fits."""
    model = tiny_dai_net('retinex')
    state = {name: value for name, value in model.state_dict().items() if not name.startswith('enhancer.')}
    assert len(state) < len(model.state_dict())
    StrictCheckpoint().after_load_checkpoint(SimpleNamespace(model=model, _load_from='dai_net.pth'), state)
    assert state.keys() == model.state_dict().keys()


def test_published_names_and_weights_without_training_are_named() -> None:
    runner = SimpleNamespace(model=model(), _load_from='dsfd.pth')
    with pytest.raises(InputError, match=r'^dsfd\.pth has the key names of the published code; convert it first'):
        StrictCheckpoint().after_load_checkpoint(
            runner, {'vgg.0.weight': torch.ones(1), 'loc_pal1.0.weight': torch.ones(1)}
        )
    runner = SimpleNamespace(model=model(), _load_from='w.pth', _resume=True)
    for strict in (True, False):
        with pytest.raises(InputError, match=r'no training to go on with; start from it with .* load_from=w\.pth'):
            StrictCheckpoint(strict).after_load_checkpoint(runner, {'state_dict': model().state_dict()})
