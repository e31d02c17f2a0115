"""Each ablation differs from the main config in what it claims alone, trains, and does what it claims.

``pytest -s`` prints each difference below the docstring that claims it.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import pytest
import torch
from config_differences import config_differences
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.runner import Runner
from run_log import RunLog, read_run
from torch import Tensor, nn

from mmdark.apis import load_config
from tests.ablation_claims import CLAIMS, EVERY_LOSS, L2NORM, PAL
from tests.models.tiny_models import pair_of, samples_of, tiny
from tests.tiny_wider import ROOT, write_wider

MAIN = ROOT / 'configs' / 'dsfd_dark_wider.py'
FILES = {
    path.stem.removeprefix('dsfd_dark_wider_'): path for path in sorted((ROOT / 'configs' / 'ablations').glob('*.py'))
}
every_ablation = pytest.mark.parametrize('name', CLAIMS)


def test_every_ablation_states_its_claim() -> None:
    assert FILES.keys() == CLAIMS.keys()


@every_ablation
def test_an_ablation_differs_in_what_it_claims(name: str) -> None:
    claimed = ast.get_docstring(ast.parse(FILES[name].read_text(encoding='utf-8')))
    changed = config_differences(Config.fromfile(MAIN), Config.fromfile(FILES[name]))
    print(f'\n{FILES[name].name}: {claimed}')
    print(*(f'  {key}: {old!r} -> {new!r}' for key, (old, new) in changed.items()), sep='\n')
    assert len(claimed.split()) > 4
    assert {key: new for key, (_, new) in changed.items()} == CLAIMS[name].changes


class Trained(NamedTuple):
    """What two iterations and a validation left."""

    log: RunLog
    model: nn.Module


@pytest.fixture(scope='module')
def wider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wider(tmp_path_factory.mktemp('wider'), train=4, val=2)


def eighth(model: Any) -> Any:
    """An eighth as wide, from weights at random."""
    tiny(model)
    if model.type == 'DAINet':
        model.reflectance_decoder.in_channels = 8
        if model.enhancer and model.enhancer.type == 'RetinexNet':
            model.enhancer.update(channels=4, init_cfg=None)
    return model


def train(path: Path, wider: Path, work_dir: Path) -> Trained:
    """Two iterations and the validation at their end, as the config has it but for sizes."""
    cfg = load_config(str(path), {'data_root': f'{wider}/', 'input_size': 64, 'log_level': 'ERROR'}, str(work_dir))
    cfg.experiment_name = cfg.visualizer.name = uuid4().hex  # a visualizer is known by its name and keeps its folder
    eighth(cfg.model)
    cfg.train_dataloader.batch_size = 2
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_cfg.max_iters = 2
    cfg.default_hooks.logger.interval = 1
    runner = Runner.from_cfg(cfg)
    runner.train()
    return Trained(read_run(work_dir), runner.model)


@pytest.fixture(scope='module')
def main_trained(wider: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(MAIN, wider, tmp_path_factory.mktemp('main'))


def scales(model: nn.Module) -> Iterator[set[float]]:
    """The distinct scales of each L2Norm."""
    neck = getattr(model, 'detector', model).neck
    for norms in (neck.l2norm_original, neck.l2norm_enhanced):
        yield from (set(norm.weight.tolist()) for norm in norms)


@every_ablation
def test_an_ablation_trains_and_validates(name: str, wider: Path, main_trained: Trained, tmp_path: Path) -> None:
    log, model = train(FILES[name], wider, tmp_path)
    assert (log.name, log.seed, log.iterations, log.finished) == (FILES[name].stem, 0, 2, True)
    for line in log.train:
        terms = {key: value for key, value in line.items() if 'loss' in key and key != 'loss'}
        assert terms.keys() == EVERY_LOSS - CLAIMS[name].without
        assert all(math.isfinite(value) for value in line.values())
        assert line['loss'] == pytest.approx(sum(terms.values()), rel=1e-5)
    (validation,) = log.val
    assert validation.keys() >= {'day/wider/AP', 'dark/wider/AP'}
    frozen = L2NORM in CLAIMS[name].changes
    assert (list(scales(model)) == [{10.0}, {8.0}, {5.0}] * 2) == frozen
    assert not frozen or list(scales(main_trained.model)) != [{10.0}, {8.0}, {5.0}] * 2


def test_pairs_and_single_images_are_the_same_pictures(wider: Path) -> None:
    """Drawn from the same counter, light and dark come out the same where the ablation does not change them."""

    def sample(path: Path) -> Any:
        cfg = load_config(str(path), {'data_root': f'{wider}/', 'input_size': 64})
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        return DATASETS.build(cfg.train_dataloader.dataset)[0]['inputs']

    pair = sample(MAIN)
    assert torch.equal(sample(FILES['day-only']), pair['light'])
    assert torch.equal(sample(FILES['dark-isp-on-device']), pair['light'])
    assert torch.equal(sample(FILES['augmentation-only']), pair['dark'])
    for preset in ('isp-dainet', 'isp-maet'):
        other = sample(FILES[preset])
        assert torch.equal(other['light'], pair['light']) and not torch.equal(other['dark'], pair['dark'])


def losses_of(path: Path) -> dict[str, float]:
    """Of one step of an eighth of the model, from the same weights and on the same images."""
    cfg = eighth(deepcopy(Config.fromfile(path).model))
    model = MODELS.build(cfg)
    for key, parameter in model.named_parameters():
        key = key.removeprefix('detector.')
        generator = torch.Generator().manual_seed(len(key) + parameter.numel())
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter, generator=generator)
        elif key.endswith('bias'):
            nn.init.zeros_(parameter)
    pair: Any = pair_of(size=(64, 64))
    single = {'dsfd_dark_wider_day-only': 'light', 'dsfd_dark_wider_augmentation-only': 'dark'}.get(path.stem)
    samples = samples_of(*[[[10.0, 12.0, 42.0, 44.0]]] * 2, size=(64, 64))
    with torch.no_grad():
        losses = model.loss(pair[single] if single else pair, samples)
    return {key: float(sum(value) if isinstance(value, list) else value) for key, value in losses.items()}


def parts(losses: dict[str, float], names: tuple[str, ...]) -> list[float]:
    return [losses[name] for name in names]


def test_losses_are_those_of_the_main_config_but_for_the_claim() -> None:
    full = losses_of(MAIN)
    assert full.keys() == EVERY_LOSS
    assert all(math.isfinite(value) and value > 0 for value in full.values())
    for name in ('no-mutual', 'no-coherence', 'no-decomposition', 'frozen-l2norm', 'isp-maet', 'dark-isp-on-device'):
        assert losses_of(FILES[name]) == {key: full[key] for key in EVERY_LOSS - CLAIMS[name].without}

    no_teacher, no_recomposition = losses_of(FILES['no-teacher']), losses_of(FILES['no-recomposition'])
    assert parts(no_teacher, PAL) == parts(full, PAL)
    assert 0 < no_teacher['loss_mutual'] < full['loss_mutual']  # the second pair is no longer there
    same = {key: full[key] for key in EVERY_LOSS - {'loss_coherence', 'loss_mutual'}}
    assert no_recomposition == {**same, 'loss_mutual': no_teacher['loss_mutual']}

    own = losses_of(FILES['no-interchange'])
    assert {key: own[key] for key in same} == same
    assert own['loss_mutual'] != full['loss_mutual'] and own['loss_coherence'] != full['loss_coherence']

    max_rgb = losses_of(FILES['max-rgb-teacher'])
    assert max_rgb.keys() == full.keys() and parts(max_rgb, PAL) == parts(full, PAL)
    assert max_rgb['loss_decomposition'] != full['loss_decomposition']
    assert parts(losses_of(FILES['augmentation-only']), PAL) == parts(full, PAL)  # on the same dark images
    assert parts(losses_of(FILES['day-only']), PAL) != parts(full, PAL)


def calls(path: Path) -> dict[str, int]:
    """How many images went through each part of the model in a step on two pairs."""
    model = MODELS.build(eighth(Config.fromfile(path).model))
    seen = dict.fromkeys(('stem', 'decoder', 'teacher'), 0)

    def count(part: str) -> Any:
        def add(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen[part] += len(inputs[0])

        return add

    model.detector.backbone.stages[0][0].register_forward_pre_hook(count('stem'))
    if getattr(model, 'enhancer', None) is not None:
        model.reflectance_decoder.register_forward_pre_hook(count('decoder'))
        model.enhancer.register_forward_pre_hook(count('teacher'))
    model.loss(pair_of(size=(64, 64)), samples_of([], [], size=(64, 64)))
    return seen


@pytest.mark.parametrize(
    ('name', 'stem', 'decoder', 'teacher'),
    [
        ('no-interchange', 8, 8, 4),  # as the main config
        ('no-mutual', 8, 8, 4),  # coherence still needs the second decomposition
        ('no-coherence', 8, 4, 4),
        ('no-recomposition', 4, 4, 4),
        ('no-teacher', 4, 0, 0),
    ],
)
def test_what_is_left_out_costs_nothing(name: str, stem: int, decoder: int, teacher: int) -> None:
    assert calls(FILES[name]) == {'stem': stem, 'decoder': decoder, 'teacher': teacher}
