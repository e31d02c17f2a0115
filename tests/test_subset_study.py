"""The rows of docs/results.md differ in what they claim, start from the same detector and see as many images."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from config_differences import config_differences
from mmengine.config import Config

from mmdark.models import DarkVGG

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / 'configs' / 'subset'
FULL = Config.fromfile(FOLDER / 'dsfd_dark_lite_subset.py')
START = Config.fromfile(FOLDER / 'dsfd_lite_subset_start.py')
ROWS = {
    path.stem.removeprefix('dsfd_dark_lite_subset_'): Config.fromfile(path)
    for path in FOLDER.glob('dsfd_dark_lite_subset_*.py')
}
ONE_SETTING = {
    'no-mutual': ('losses.mutual', None),
    'no-teacher': ('enhancer', None),
    'no-recomposition': ('recomposition', None),
    'no-decomposition': ('losses.decomposition', None),
}
COMPARED = (*ONE_SETTING, 'retinexnet', 'day-only', 'augmentation-only')
"""Rows of the table; the others are on the way to the weights that come with mmdark."""


def test_each_row_has_a_claim() -> None:
    assert ROWS.keys() == {*COMPARED, 'mixed', 'mixed-again', 'shipped'}


@pytest.mark.parametrize('name', ONE_SETTING)
def test_a_row_without_a_term_lacks_that_alone(name: str) -> None:
    key, value = ONE_SETTING[name]
    changed = config_differences(FULL, ROWS[name])
    assert {changed_key: new for changed_key, (_, new) in changed.items()} == {f'model.{key}': value}


def test_the_trained_teacher_is_the_only_change_of_its_row() -> None:
    row = ROWS['retinexnet']
    assert {key.split('.')[1] for key in config_differences(FULL, row)} == {'enhancer'}
    assert row.model.enhancer.init_cfg.checkpoint == 'mmdark://retinexnet_wider.pth'


@pytest.mark.parametrize('name', ['day-only', 'augmentation-only'])
def test_rows_without_dai_net_train_the_same_detector_on_the_same_crops(name: str) -> None:
    row = ROWS[name]
    assert row.model == FULL.model.detector and row.model.type == 'DSFD'
    theirs, ours = (cfg.train_dataloader.dataset.pipeline for cfg in (FULL, row))
    darkness = [dict(type='DarkISP', preset='corrected', keep_light=False)] if name == 'augmentation-only' else []
    assert ours == [*theirs[:-2], *darkness, dict(type='PackDetInputs')]
    assert theirs[-2:] == [dict(type='DarkISP', preset='corrected'), dict(type='PackDarkPair')]


@pytest.mark.parametrize('name', COMPARED)
def test_rows_have_the_same_budget_start_and_test(name: str) -> None:
    """The study's rows are compared at equal numbers of images, on the same test images."""
    row = ROWS[name]
    for key in ('load_from', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'randomness', 'input_size'):
        assert row[key] == FULL[key], key
    for key in ('batch_size', 'sampler'):
        assert row.train_dataloader[key] == FULL.train_dataloader[key]
    assert row.val_dataloader.dataset.datasets[:2] == FULL.val_dataloader.dataset.datasets
    assert row.val_evaluator.metrics[:2] == FULL.val_evaluator.metrics
    assert row.train_dataloader.dataset.only == FULL.train_dataloader.dataset.only
    assert START.train_dataloader.dataset.only == FULL.train_dataloader.dataset.only


def test_the_test_images_are_new_and_the_dark_ones_are_their_copies() -> None:
    train, val = (set((FOLDER / name).read_text().split()) for name in ('wider_train_880.txt', 'wider_val_249.txt'))
    assert (len(train), len(val), len(train & val)) == (880, 249, 0)
    day, dark = FULL.val_dataloader.dataset.datasets
    assert {key for key in day if day[key] != dark[key]} == {'data_root'}


def test_brightened_images_are_the_dark_ones_brightened_before_anything_else() -> None:
    row = ROWS['day-only']
    _, dark, *brightened = row.val_dataloader.dataset.datasets
    assert row.val_evaluator.dataset_prefixes == ['day', 'dark', 'gamma', 'clahe']
    for method, dataset in zip(('gamma', 'clahe'), brightened, strict=True):
        first, step, *rest = dataset.pipeline
        assert step == dict(type='Brighten', method=method) and [first, *rest] == dark.pipeline
        assert {key for key in dark if dataset[key] != dark[key]} == {'pipeline'}


def test_the_recipe_of_the_wider_stem_keeps_what_the_detector_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recipe,) = re.findall(r'```python\n(.*?)```', (ROOT / 'docs/results.md').read_text(), re.DOTALL)
    settings = {key: value for key, value in FULL.model.detector.backbone.items() if key != 'type'}
    plain, wide = DarkVGG(**settings), DarkVGG(**settings, stem_channels=2 * 16)
    folder = tmp_path / 'work_dirs' / 'dsfd_lite_subset_start'
    folder.mkdir(parents=True)
    state = {f'backbone.{name}': weight for name, weight in plain.state_dict().items()}
    torch.save(dict(meta={}, state_dict=state, optimizer={}), folder / 'iter_4000.pth')
    monkeypatch.chdir(tmp_path)
    exec(recipe, {})
    widened = torch.load(folder / 'iter_4000_stem32.pth')['state_dict']
    wide.load_state_dict({name.removeprefix('backbone.'): weight for name, weight in widened.items()})
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        for map_, wanted in zip(wide(images), plain(images), strict=True):
            torch.testing.assert_close(map_, wanted, rtol=1e-4, atol=1e-5)
    first, second = wide.stages[1][0].conv.weight.unflatten(1, (-1, 2)).unbind(2)
    assert (first - second).abs().mean() > 0.1 * first.abs().mean()  # so that the two learn different things
