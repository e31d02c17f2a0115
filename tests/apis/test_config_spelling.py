"""Misspelt keys are found with what was meant; names of the user's choice pass."""

from __future__ import annotations

from pathlib import Path

import mmdet
import pytest
from mmengine.config import Config

from mmdark.apis import load_config
from mmdark.apis.config_files import read_config
from mmdark.apis.config_spelling import check_spelling
from mmdark.errors import InputError
from tests.tiny_wider import ROOT

LITE = ROOT / 'configs' / 'dsfd_dark_lite_wider.py'
MMDET = Path(mmdet.__file__).parent / '.mim' / 'configs'


def own(folder: Path, text: str, base: str = f"_base_ = ['{LITE}']\n") -> str:
    (folder / 'own.py').write_text(base + text)
    return str(folder / 'own.py')


@pytest.mark.parametrize(
    ('text', 'meant'),
    [
        ('train_dataloder = dict(batch_size=2)', 'train_dataloader'),
        ('optim_wraper = dict(clip_grad=None)', 'optim_wrapper'),
        ('resme = True', 'resume'),
        ("load_form = 'a.pth'", 'load_from'),
        ('default_hoks = dict()', 'default_hooks'),
        ('custom_hook = []', 'custom_hooks'),
        ('param_schedular = dict(eta_max=1)', 'param_scheduler'),
        ('modle = dict()', 'model'),
        ('train_config = dict(max_epochs=3)', 'train_cfg'),
        ('val_evalutor = dict()', 'val_evaluator'),
        ('workdir = 3', 'work_dir'),
        ("data_rot = 'mine/'", 'data_root'),
        ('max_iter = 500', 'max_iters'),
        ('input_sise = 320', 'input_size'),
        ('tta_pipline = []', 'tta_pipeline'),
    ],
)
def test_at_the_top(tmp_path: Path, text: str, meant: str) -> None:
    name = text.split()[0]
    with pytest.raises(InputError, match=rf"own\.py: nothing reads '{name}'; did you mean '{meant}'\?$"):
        load_config(own(tmp_path, text))
    (tmp_path / 'leaf.py').write_text("_base_ = 'own.py'\nmax_iters = 3\n")
    with pytest.raises(InputError, match=rf"own\.py: nothing reads '{name}'"):
        load_config(str(tmp_path / 'leaf.py'))


@pytest.mark.parametrize(
    ('text', 'place', 'key', 'meant'),
    [
        ('train_dataloader = dict(batchsize=2)', 'train_dataloader', 'batchsize', 'batch_size'),
        ('default_hooks = dict(chekpoint=dict(interval=3))', 'default_hooks', 'chekpoint', 'checkpoint'),
        ('default_hooks = dict(checkpoint=dict(intervall=3))', 'default_hooks.checkpoint', 'intervall', 'interval'),
        ('optim_wrapper = dict(clip_gradd=None)', 'optim_wrapper', 'clip_gradd', 'clip_grad'),
        ("model = {'detector': {'test_cfg': {'score_tr': 0.1}}}", 'model.detector.test_cfg', 'score_tr', 'score_thr'),
        ('env_cfg = dict(cudnn_benchmrk=True)', 'env_cfg', 'cudnn_benchmrk', 'cudnn_benchmark'),
    ],
)
def test_in_a_section_of_the_base(tmp_path: Path, text: str, place: str, key: str, meant: str) -> None:
    said = rf"own\.py: there is no '{key}' in {place} of its _base_; did you mean '{meant}'\?$"
    with pytest.raises(InputError, match=said):
        load_config(own(tmp_path, text))


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        (
            'default_hooks = dict(checkpoint=dict(max_keep_ckpt=3))',
            "checkpoint has no setting 'max_keep_ckpt'; did",
        ),
        ('optim_wrapper = dict(paramwise_cfg=dict(bias_lr_mul=2))', "paramwise_cfg has no setting 'bias_lr_mul'; did"),
        ('default_hooks = dict(ema=dict(momentum=0.1))', 'default_hooks.ema is no hook; name its class'),
        ('default_hooks = dict(timer=5)', 'default_hooks.timer is no hook; name its class'),
    ],
)
def test_where_mmengine_would_pass_over_it_or_stop_later(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_config(own(tmp_path, text))


def test_names_of_ones_own_pass(tmp_path: Path) -> None:
    text = """
train_pipeline2 = []
val_pipeline = []
test_pipeline = []
max_iters = 300
dataset_type = 'WiderDataset'
data_root_2, models, hooks, metainfo, optimizer = '', [], {}, dict(classes=('face',)), dict(lr=1)
resme = 3
randomness = dict(seed=resme)
model = dict(loss_mutual2=1, backbone=dict(_delete_=True, type='DarkVGG', init_cg=None))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'reflectance_decoderr': dict(lr_mult=2)}))
"""
    assert load_config(own(tmp_path, text)).randomness.seed == 3
    (tmp_path / 'leaf.py').write_text("_base_ = 'own.py'\nval_pipeline = 2\nload_form = 1\nx = [load_form]\n")
    assert load_config(str(tmp_path / 'leaf.py')).val_pipeline == 2


@pytest.mark.skipif(not MMDET.is_dir(), reason=f'mmdet was installed without its configs ({MMDET})')
def test_configs_of_mmdet_pass() -> None:
    checked = 0
    for path in sorted(MMDET.rglob('*.py'))[::40]:
        try:
            read = read_config(path)
        except InputError:  # some name files that mmdet does not have
            continue
        check_spelling(*read)
        checked += 1
    assert checked > 15


def test_a_dumped_config_passes(tmp_path: Path) -> None:
    load_config(own(tmp_path, 'model2 = dict(a=1)\nresume2 = 1\nx = [model2]')).dump(tmp_path / 'dumped.py')
    assert isinstance(load_config(str(tmp_path / 'dumped.py')), Config)
