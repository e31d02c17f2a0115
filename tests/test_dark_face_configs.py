"""The configs for DARK FACE: what they test on, what they train, and from which weights."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.runner import Runner

from mmdark.apis import load_config
from mmdark.engine.hooks.strict_checkpoint import LeaveOutWeights
from mmdark.errors import InputError
from tests.tiny_dark_face import BOX, TRAIN, VAL, write_dark_face
from tests.tiny_wider import LITE, ROOT

ZERO_SHOT = ROOT / 'configs' / 'dark_face' / 'dsfd_dark_zero-shot_dark-face.py'
FINE_TUNE = ROOT / 'configs' / 'dark_face' / 'dsfd_dark_finetune_dark-face.py'
MAIN = ROOT / 'configs' / 'dsfd_dark_wider.py'
DARK_BRANCHES = ('reflectance_decoder.', 'enhancer.')


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dark_face(tmp_path_factory.mktemp('dark_face') / 'tiny')


def lite(path: Path, folder: Path, work_dir: Path, **options: Any) -> Config:
    """An eighth of the model on the tiny folder, for two steps."""
    own = {
        'data_root': f'{folder}/',
        'allow_missing': True,
        'train_cfg.max_epochs': 1,
        'model.detector.backbone.init_cfg': None,
        'val_dataloader.num_workers': 0,
        'val_dataloader.persistent_workers': False,
    }
    known = load_config(str(path))
    chosen = {**LITE, **own, **options}
    if known.model.type != 'DAINet':  # the detector alone
        chosen = {key.replace('model.detector.', 'model.'): value for key, value in chosen.items()}
        chosen.pop('model.reflectance_decoder.in_channels')
    cfg = load_config(str(path), chosen, str(work_dir))
    cfg.experiment_name = uuid4().hex
    cfg.log_level = 'WARNING'
    return cfg


def dark_checkpoint(folder: Path, path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint of the dark model, as its training writes it."""
    cfg = lite(ZERO_SHOT, folder, path.parent, **{'model.enhancer.init_cfg': None})
    state = MODELS.build(cfg.model).state_dict()
    torch.save({'state_dict': state, 'meta': {}}, path)
    return state


def test_zero_shot_differs_from_the_main_config_in_its_test_alone() -> None:
    main, zero_shot = Config.fromfile(MAIN), Config.fromfile(ZERO_SHOT)
    changed = {key for key in main.keys() | zero_shot.keys() if main.get(key) != zero_shot.get(key)}
    tested = {'test_dataloader', 'test_evaluator', 'test_pipeline', 'tta_pipeline'}
    assert changed == {*tested, 'data_root', 'allow_missing'}
    assert zero_shot.train_dataloader.dataset.data_root == 'data/wider/'


@pytest.mark.parametrize('path', [ZERO_SHOT, FINE_TUNE], ids=lambda path: path.stem)
def test_what_is_dark_is_not_darkened(path: Path) -> None:
    """Tests are on the 500 images, as they are, one scale; ``--tta`` makes the views of the day detector."""
    cfg, day = Config.fromfile(path), Config.fromfile(ROOT / 'configs' / 'dsfd' / 'dsfd_vgg16_wider.py')
    dataset = cfg.test_dataloader.dataset
    assert (dataset.type, dataset.split, dataset.test_mode) == ('DarkFaceDataset', 'val', True)
    assert 'ann_file' not in dataset and 'data_prefix' not in dataset
    assert dataset.pipeline == day.test_dataloader.dataset.pipeline
    assert (cfg.tta_pipeline, cfg.tta_model) == (day.tta_pipeline, day.tta_model)
    assert cfg.test_evaluator == {'type': 'DarkFaceMetric', 'prefix': 'dark_face'}


def test_fine_tuning_is_the_day_training_on_the_other_photographs() -> None:
    """Model, pipeline and sampler are those of the day detector; the choices that nobody published stand here."""
    cfg, day = Config.fromfile(FINE_TUNE), Config.fromfile(ROOT / 'configs' / 'dsfd' / 'dsfd_vgg16_wider.py')
    dataset = cfg.train_dataloader.dataset
    assert (dataset.type, dataset.split) == ('DarkFaceDataset', 'train') and 'test_mode' not in dataset
    assert dataset.pipeline == day.train_dataloader.dataset.pipeline
    assert {**cfg.model, 'backbone': None} == {**day.model, 'backbone': None}
    assert cfg.model.backbone == {**day.model.backbone, 'init_cfg': None}
    assert cfg.val_dataloader == cfg.test_dataloader and cfg.val_evaluator == cfg.test_evaluator
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(day.optim_wrapper.optimizer.lr / 10)
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler.milestones) == (30, [20, 26])
    assert cfg.load_from == 'weights/dai_net.pth' and not cfg.resume


def test_one_option_moves_the_folder_and_one_allows_a_part(folder: Path) -> None:
    cfg = load_config(str(FINE_TUNE), {'data_root': f'{folder}/'})
    with pytest.raises(InputError, match=r'of 5500 images 5496 are not there .*allow_missing=True'):
        DATASETS.build(cfg.train_dataloader.dataset)
    cfg = load_config(str(FINE_TUNE), {'data_root': f'{folder}/', 'allow_missing': True})
    for loader, numbers in ((cfg.train_dataloader, TRAIN), (cfg.val_dataloader, VAL), (cfg.test_dataloader, VAL)):
        dataset = DATASETS.build(loader.dataset)
        assert [Path(dataset.get_data_info(i)['img_path']).stem for i in range(4)] == list(map(str, numbers))
    assert DATASETS.build(cfg.train_dataloader.dataset)[0]['inputs'].shape == (3, 640, 640)


def test_views_carry_the_faces_as_labelled(folder: Path, tmp_path: Path) -> None:
    """The metric reads them from the first view, beyond the border or not."""
    shutil.copytree(folder, tmp_path / 'own')
    (tmp_path / 'own' / 'label' / f'{VAL[0]}.txt').write_text('2\n-4 3 120 90\n5 5 5 9\n')
    cfg = load_config(str(ZERO_SHOT), {'data_root': f'{tmp_path}/own/', 'allow_missing': True})
    for pipeline in (cfg.test_dataloader.dataset.pipeline, cfg.tta_pipeline):
        sample = DATASETS.build({**cfg.test_dataloader.dataset, 'pipeline': pipeline})[0]['data_samples']
        first = sample[0] if isinstance(sample, list) else sample
        assert first.gt_instances.bboxes.tensor.tolist() == [[-4, 3, 120, 90], [5, 5, 5, 9]]


def test_fine_tuning_starts_from_a_checkpoint_of_the_dark_model(folder: Path, tmp_path: Path) -> None:
    """Its dark branches are left over; the detector is all there, is trained, and is tested with what it wrote."""
    given = dark_checkpoint(folder, tmp_path / 'dark.pth')
    assert any(name.startswith('reflectance_decoder.') for name in given)
    cfg = lite(FINE_TUNE, folder, tmp_path, load_from=str(tmp_path / 'dark.pth'))
    cfg.optim_wrapper.optimizer.lr = 1e-9  # what is loaded can still be told after training
    runner = Runner.from_cfg(cfg)
    runner.train()
    trained = runner.model.state_dict()
    assert trained.keys() == {name for name in given if not name.startswith(DARK_BRANCHES)}
    assert all(torch.allclose(value, given[name], atol=1e-5) for name, value in trained.items())
    assert any(not torch.equal(value, given[name]) for name, value in trained.items())
    (last,) = tmp_path.glob('iter_*.pth')
    scores = Runner.from_cfg(lite(FINE_TUNE, folder, tmp_path, load_from=str(last))).test()
    assert 0 <= scores['dark_face/AP'] <= 1


def test_fine_tuning_does_not_start_from_half_a_checkpoint(folder: Path, tmp_path: Path) -> None:
    state = dark_checkpoint(folder, tmp_path / 'dark.pth')
    half = {name: value for name, value in state.items() if not name.startswith('neck.')}
    torch.save({'state_dict': half, 'meta': {}}, tmp_path / 'half.pth')
    for name, said in (('half', r'half\.pth does not fit DSFD .*lacks \d+ keys \(neck'), ('none', 'does not exist')):
        runner = Runner.from_cfg(lite(FINE_TUNE, folder, tmp_path, load_from=f'{tmp_path}/{name}.pth'))
        with pytest.raises(InputError, match=said):
            runner.train()


def test_zero_shot_tests_the_dark_model(folder: Path, tmp_path: Path) -> None:
    dark_checkpoint(folder, tmp_path / 'dark.pth')
    cfg = lite(ZERO_SHOT, folder, tmp_path, load_from=str(tmp_path / 'dark.pth'))
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = cfg.param_scheduler = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    assert 0 <= Runner.from_cfg(cfg).test()['dark_face/AP'] <= 1


@pytest.mark.parametrize('bare', [True, False])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_weights_are_left_out_by_the_beginning_of_their_names(bare: bool, prefix: str) -> None:
    names = ('enhancer.a', 'enhancer2.a', 'neck.enhancer.a', 'reflectance_decoder.b')
    weights = dict.fromkeys((f'{prefix}{name}' for name in names), torch.ones(1))
    runner = SimpleNamespace(_train_loop=None)
    LeaveOutWeights(DARK_BRANCHES).after_load_checkpoint(runner, weights if bare else {'state_dict': weights})
    assert set(weights) == {f'{prefix}enhancer2.a', f'{prefix}neck.enhancer.a'}


def test_the_tiny_folder_holds_what_it_says(folder: Path) -> None:
    assert (folder / 'label' / f'{VAL[0]}.txt').read_text().split() == ['1', *map(str, BOX)]
