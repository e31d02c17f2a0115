"""A variable of a config reaches all places that the inherited files make from it, in every way of setting it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from mmdark.apis import load_config
from mmdark.errors import InputError
from tests.apis.test_launch import values
from tests.tiny_wider import ROOT

CONFIGS = ROOT / 'configs'
LITE = CONFIGS / 'dsfd_dark_lite_wider.py'
BASE = """
root, size = 'data/', 640
limit = 1000
parts = [dict(type='A', size=size)]
marks = dict(names=('face',), colour=1)
if limit:
    warm = limit // 10
train_dataloader = dict(dataset=dict(data_root=root, ann_file=f'{root}train.txt', marks=marks), steps=parts)
train_cfg = dict(max_iters=limit)
param_scheduler = dict(type='OneCycleLR', total_steps=limit, begin=warm, crop=(size, size))
"""


def write(folder: Path, **files: str) -> Path:
    """Configs in ``folder``; the path of the last one."""
    for name, text in files.items():
        (folder / f'{name}.py').write_text(text)
    return folder / f'{[*files][-1]}.py'


def check_lite(cfg: Config, data_root: str, input_size: int, max_iters: int) -> None:
    """The values are in all places in which the lite config has them."""
    roots, sizes = values(cfg._cfg_dict, 'data_root'), values(cfg.train_dataloader, 'input_size')
    assert len(roots) >= 8 and set(roots) == {data_root}
    assert len(sizes) == 2 and {*sizes, cfg.default_hooks.validation_loss.input_size} == {input_size}
    assert cfg.train_cfg.max_iters == cfg.param_scheduler.total_steps == max_iters
    assert (cfg.data_root, cfg.input_size, cfg.max_iters) == (data_root, input_size, max_iters)


THREE = "data_root = 'mine/'\ninput_size = 320\nmax_iters = 500\n"


def test_an_inheriting_config_reaches_all_places(tmp_path: Path) -> None:
    path = write(tmp_path, own=f"_base_ = ['{LITE}']\n{THREE}")
    check_lite(load_config(str(path)), 'mine/', 320, 500)
    changed = load_config(str(path), {'data_root': 'other/', 'max_iters': 70})
    check_lite(changed, 'other/', 320, 70)


def test_through_several_files(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        a=f"_base_ = ['{LITE}']\n{THREE}",
        b="_base_ = './a.py'\nmax_iters = 60\ntrain_cfg = dict(val_interval=3)\n",
        c="_base_ = ['b.py']\ndata_root = 'c/'\n",
    )
    cfg = load_config(str(path))
    check_lite(cfg, 'c/', 320, 60)
    assert cfg.train_cfg.val_interval == 3
    check_lite(load_config(str(path), {'input_size': 64}), 'c/', 64, 60)


def test_one_option_is_enough() -> None:
    check_lite(load_config(str(LITE), {'data_root': 'x/', 'input_size': 96, 'max_iters': 40}), 'x/', 96, 40)
    cfg = load_config('retinexnet_wider', {'patch_size': 32, 'max_iters': 40})
    assert cfg.train_dataloader.dataset.pipeline[1].crop_size == (32, 32)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler.T_max == 40
    quick = load_config('dsfd_dark_lite_demo', {'max_iters': 8})
    assert quick.param_scheduler.total_steps == quick.default_hooks.checkpoint.interval == 8


@pytest.mark.parametrize('options', [None, {'root': 'new/', 'size': 7, 'limit': 50, 'marks.names': ('head',)}])
def test_what_is_computed_from_a_variable_follows_it(tmp_path: Path, options: dict[str, Any] | None) -> None:
    own = "root = 'new/'\nsize = 7\nlimit = 50\nmarks = dict(names=('head',))\n" if options is None else ''
    cfg = load_config(str(write(tmp_path, base=BASE, own=f"_base_ = 'base.py'\n{own}")), options)
    dataset = cfg.train_dataloader.dataset
    assert (dataset.data_root, dataset.ann_file) == ('new/', 'new/train.txt')
    assert dataset.marks == cfg.marks == {'names': ('head',), 'colour': 1}
    assert cfg.train_dataloader.steps == [{'type': 'A', 'size': 7}]
    assert cfg.train_cfg.max_iters == 50
    assert cfg.param_scheduler == {'type': 'OneCycleLR', 'total_steps': 50, 'begin': 5, 'crop': (7, 7)}


def test_what_a_file_computes_from_its_base_follows_the_config(tmp_path: Path) -> None:
    half = "_base_ = 'base.py'\nlimit = _base_.size // 2\nval_dataloader = dict(root=_base_.root)\n"
    joined = "_base_ = 'half.py'\nsize = 10\nroot = _base_.root + 'sub/'\n"
    cfg = load_config(str(write(tmp_path, base=BASE, half=half, joined=joined)))
    assert cfg.train_cfg.max_iters == cfg.limit == 5
    assert cfg.root == cfg.val_dataloader.root == cfg.train_dataloader.dataset.data_root == 'data/sub/'


def test_a_pipeline_is_passed_on_if_the_file_does_not_place_it(tmp_path: Path) -> None:
    """By day it stays: ``wider_face_dark.py`` places a pipeline of its own under this name."""
    main = CONFIGS / 'dsfd_dark_wider.py'
    text = f"_base_ = ['{main}']\ntrain_pipeline = [dict(type='LoadPhoto')]\ntest_pipeline = [dict(type='KeepFaces')]\n"
    cfg, before = load_config(str(write(tmp_path, own=text))), Config.fromfile(main)
    assert cfg.train_dataloader.dataset.pipeline == [{'type': 'LoadPhoto'}]
    day, dark = cfg.test_dataloader.dataset.datasets
    assert dark.pipeline == [{'type': 'KeepFaces'}]
    assert day.pipeline == before.test_dataloader.dataset.datasets[0].pipeline
    changed = load_config(str(main), {'train_pipeline.4.prob': [0.1, 0.9]})
    assert changed.train_dataloader.dataset.pipeline[4].prob == [0.1, 0.9]


def test_names_with_an_underscore_are_of_their_file(tmp_path: Path) -> None:
    base = '_channels = 3\nmodel = dict(a=_channels)\n'
    cfg = load_config(str(write(tmp_path, base=base, own="_base_ = 'base.py'\n_channels = 4\n")))
    assert cfg.model.a == 3


@pytest.mark.parametrize('kind', ['py', 'json'])
def test_the_config_of_a_work_directory_moves_likewise(tmp_path: Path, kind: str) -> None:
    """It has no variables in places any more: their values follow where they stand under their names."""
    path = write(tmp_path, own=f"_base_ = ['{LITE}']\n{THREE}")
    load_config(str(path)).dump(tmp_path / f'dumped.{kind}')
    check_lite(load_config(str(tmp_path / f'dumped.{kind}')), 'mine/', 320, 500)
    if kind == 'json':
        assert json.loads((tmp_path / 'dumped.json').read_text())['max_iters'] == 500
        cfg = load_config(str(tmp_path / 'dumped.json'), {'data_root': 'x/'})
        assert set(values(cfg._cfg_dict, 'data_root')) == {'x/'}
        return
    check_lite(load_config(str(tmp_path / 'dumped.py'), {'data_root': 'x/', 'max_iters': 9}), 'x/', 320, 9)
    again = write(tmp_path, again="_base_ = 'dumped.py'\ninput_size = 64\nmax_iters = 30\n")
    check_lite(load_config(str(again)), 'mine/', 64, 30)


def test_our_configs_say_the_same_to_mmengine() -> None:
    """Whoever reads them without mmdark's tools gets the same models, data and schedules; variables may differ.

    ``load_config`` finds nothing misspelt in any.
    """
    for path in sorted(CONFIGS.rglob('*.py')):
        plain, ours = Config.fromfile(path), load_config(str(path))
        for key in ('model', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'val_evaluator', 'train_cfg'):
            assert plain.get(key) == ours.get(key), (path, key)
        assert plain.get('param_scheduler') == ours.get('param_scheduler')


@pytest.mark.parametrize(
    ('line', 'said'),
    [
        ('limit = 500,', r'limit is \(500,\), but 1000 in .*base\.py: give it a value of that kind'),
        ("limit = '500'", r"limit is '500', but 1000 in "),
        ('size = []', r'its _base_ fails with the new values of size \(TypeError: '),
    ],
)
def test_a_value_that_does_not_fit_is_one_line(tmp_path: Path, line: str, said: str) -> None:
    base = f'{BASE}size_too = size * 1.0\n'
    with pytest.raises(InputError, match=said):
        load_config(str(write(tmp_path, base=base, own=f"_base_ = 'base.py'\n{line}\n")))
