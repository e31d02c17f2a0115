"""The configs for ExDark: what they train and test on, their published schedules, and a small YOLOv3 through each."""

from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmdet.models.backbones import Darknet
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from mmdark.apis import load_config
from mmdark.errors import InputError
from tests.tiny_exdark import write_coco_2017, write_exdark
from tests.tiny_wider import ROOT

FOLDER = ROOT / 'configs' / 'exdark'
DAY, DARK, FINE_TUNE = (FOLDER / f'yolov3_d53_{name}.py' for name in ('coco_day', 'coco_dark', 'finetune_exdark'))
CONFIGS = (DAY, DARK, FINE_TUNE)
every_config = pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)


@MODELS.register_module(force=True)
class NarrowDarknet(Darknet):
    """Five stages as DarkNet-53 has them, with one block each and few channels."""

    arch_settings: ClassVar = {53: ((1, 1, 1, 1, 1), ((32, 64), (64, 16), (16, 16), (16, 16), (16, 16)))}


@pytest.fixture(scope='module')
def exdark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_exdark(tmp_path_factory.mktemp('exdark') / 'tiny')


@pytest.fixture(scope='module')
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coco_2017(tmp_path_factory.mktemp('coco') / 'tiny')


@pytest.fixture
def config(exdark: Path, coco: Path, tmp_path: Path) -> Any:
    """Makes a config on the tiny folders with a narrow detector, for one epoch."""

    def made(path: Path, **options: Any) -> Config:
        detector = 'model.detector.' if path == DARK else 'model.'
        small = {
            'backbone.type': 'NarrowDarknet',
            'backbone.init_cfg': None,
            'neck.in_channels': [16] * 3,
            'neck.out_channels': [8] * 3,
            'bbox_head.in_channels': [8] * 3,
            'bbox_head.out_channels': [8] * 3,
            'test_cfg.score_thr': 0.0,
            'test_cfg.conf_thr': 0.0,
        }
        own = {f'{detector}{key}': value for key, value in small.items()}
        own |= {'data_root': f'{exdark}/', 'input_size': 64, 'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1}
        own |= {'train_dataloader.batch_size': 2, 'log_level': 'WARNING', 'visualizer.name': uuid4().hex}
        own |= {} if path == FINE_TUNE else {'coco_root': f'{coco}/'}
        own |= {'model.enhancer.init_cfg': None} if path == DARK else {}
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            own |= {f'{loader}.num_workers': 0, f'{loader}.persistent_workers': False}
        cfg = load_config(str(path), {**own, **options}, str(tmp_path / path.stem))
        cfg.experiment_name = uuid4().hex
        return cfg

    return made


def test_the_detector_is_mmdets_yolov3_with_the_right_number_of_classes() -> None:
    """61.95 M parameters with COCO's 80 classes, as mmdet's own; three anchors on maps of 1024 to 256 channels."""
    sizes = []
    for path in (DAY, FINE_TUNE):
        with torch.device('meta'), DefaultScope.overwrite_default_scope('mmdet'):
            model = MODELS.build(Config.fromfile(path).model)
        sizes.append(sum(parameter.numel() for parameter in model.parameters()))
    assert round(sizes[0] / 1e6, 2) == 61.95
    assert sizes[0] - sizes[1] == 3 * 68 * (1024 + 512 + 256 + 3)


def test_the_dark_config_states_only_what_differs() -> None:
    day, dark = Config.fromfile(DAY), Config.fromfile(DARK)
    assert dark.model.detector == day.model and len(DARK.read_text(encoding='utf-8').strip().splitlines()) <= 15
    differing = {key for key in dark.keys() | day.keys() if dark.get(key) != day.get(key)}
    assert differing == {'model', 'dai_net', 'optim_wrapper'}


@pytest.mark.parametrize('path', [DAY, DARK], ids=lambda path: path.stem)
def test_nothing_of_exdark_is_seen_before_the_test(path: Path) -> None:
    """Trained and validated on COCO; tested on the official test split, in the labels of COCO and as it is."""
    cfg = Config.fromfile(path)
    before = str(cfg.train_dataloader) + str(cfg.val_dataloader)
    assert 'ExDark' not in before and 'exdark' not in before
    assert cfg.train_dataloader.dataset.type == 'CheckedCocoDataset'
    test = cfg.test_dataloader.dataset
    assert (test.type, test.split, test.coco_classes, test.test_mode) == ('ExDarkDataset', 'test', True, True)
    assert 'DarkISP' not in str(test.pipeline) and 'DarkISP' in str(cfg.val_dataloader)
    assert cfg.default_hooks.checkpoint.save_best == 'dark/coco/bbox_mAP_50'


def test_published_schedules() -> None:
    """Those of ``maet_yolo_coco_ort.py`` and ``maet_yolo_exdark.py``, for 32 and for 8 images in a step."""
    for path, lr, batch, epochs, milestones in (
        (DARK, 5e-4, 32, 273, [216, 246]),
        (FINE_TUNE, 1e-3, 8, 24, [18, 23]),
    ):
        cfg = Config.fromfile(path)
        assert (cfg.optim_wrapper.optimizer.lr, cfg.default_hooks.sqrt_scale_lr.base_batch_size) == (lr, batch)
        warmup, steps = cfg.param_scheduler
        assert (warmup.type, warmup.start_factor, warmup.end, warmup.by_epoch) == ('LinearLR', 0.1, 2000, False)
        assert (cfg.train_cfg.max_epochs, steps.milestones, steps.gamma) == (epochs, milestones, 0.1)
        assert cfg.train_dataloader.batch_size == 8 and cfg.optim_wrapper.clip_grad == {'max_norm': 35}
    assert Config.fromfile(DARK).optim_wrapper.paramwise_cfg.custom_keys == {'reflectance_decoder': {'lr_mult': 0.1}}


@every_config
def test_data_sets_build(path: Path, config: Any) -> None:
    cfg = config(path)
    np.random.seed(0)  # noqa: NPY002
    train = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(train) == 2
    sides = [max(train[0]['inputs'].shape[1:]) for _ in range(20)]
    assert 33 <= min(sides) < 48 < max(sides) <= 64  # 64 x 320 / 608 = 33.7
    val, test = (DATASETS.build(cfg[f'{part}_dataloader'].dataset) for part in ('val', 'test'))
    assert (len(val), len(test)) == (1 if path == FINE_TUNE else 4, 2)
    sample = test[0]
    assert sample['inputs'].shape == (3, 53, 64) and sample['data_samples'].ori_shape == (80, 96)
    assert sample['data_samples'].gt_instances.bboxes.tensor.tolist() == [[20, 16, 72, 72]]  # in the original image
    assert test.metainfo['classes'][sample['data_samples'].gt_instances.labels[0]] in ('motorcycle', 'Motorbike')
    assert (sample['data_samples'].light, sample['data_samples'].place) == ('Twilight', 'Outdoor')


def test_detections_of_cocos_classes_are_scored_on_exdark(config: Any) -> None:
    """The objects themselves, called what COCO calls them, with a toothbrush besides, which ExDark does not know."""
    cfg = config(DAY)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = dataset.metainfo
    names = CocoDataset.METAINFO['classes']
    for index, name in enumerate(('motorcycle', 'cup')):
        sample = dataset[index]['data_samples']
        box = sample.gt_instances.bboxes.tensor
        labels = torch.tensor([names.index('toothbrush'), names.index(name)])
        sample.pred_instances = InstanceData(bboxes=box.repeat(2, 1), scores=torch.tensor([0.9, 0.5]), labels=labels)
        evaluator.process([sample])
    scores = evaluator.evaluate(2)
    assert {name: scores[name] for name in scores if 'mAP_' not in name} == {
        'exdark/mAP': 1,
        'exdark/AP_motorcycle': 1,
        'exdark/AP_cup': 1,
        'coco/bbox_mAP': 1,
    }


def scores_of(cfg: Config) -> dict[str, float]:
    """What a test says."""
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = cfg.param_scheduler = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    return Runner.from_cfg(cfg).test()


def test_a_training_on_coco_its_test_on_exdark_and_fine_tuning(config: Any, tmp_path: Path) -> None:
    """The dark detector learns on COCO; its checkpoint is tested, and fine-tuned with a new layer for 12 classes."""
    runner = Runner.from_cfg(config(DARK))
    runner.train()
    assert runner.iter == 1
    assert 0 <= runner.message_hub.get_scalar('val/dark/coco/bbox_mAP_50').current() <= 1
    (dark,) = (tmp_path / DARK.stem).glob('best_dark_coco_bbox_mAP_50_*.pth')
    scores = scores_of(config(DARK, load_from=str(dark)))
    assert {'exdark/mAP', 'exdark/AP_motorcycle', 'exdark/AP_cup', 'exdark/mAP_light_Low', 'coco/bbox_mAP'} <= {*scores}
    assert {name for name in scores if 'AP_' in name and 'place' in name} == {
        'exdark/mAP_place_Indoor',
        'exdark/mAP_place_Outdoor',
    }
    given = torch.load(dark, weights_only=True)['state_dict']

    cfg = config(FINE_TUNE, load_from=str(dark))
    cfg.optim_wrapper.optimizer.lr = 1e-9  # what is loaded can still be told after training
    runner = Runner.from_cfg(cfg)
    runner.train()
    trained = runner.model.state_dict()
    anew = {name for name in trained if name.startswith('bbox_head.convs_pred.')}
    assert trained.keys() == {n for n in given if not n.startswith(('reflectance_decoder.', 'enhancer.'))}
    assert {name: tuple(trained[name].shape) for name in anew if name.endswith('weight')} == {
        f'bbox_head.convs_pred.{level}.weight': (3 * (5 + 12), 8, 1, 1) for level in range(3)
    }
    learnt = [name for name in trained.keys() - anew if 'running' not in name and 'num_batches' not in name]
    assert all(torch.allclose(trained[name], given[name], atol=1e-5) for name in learnt)

    (last,) = (tmp_path / FINE_TUNE.stem).glob('iter_*.pth')
    tested = Runner.from_cfg(config(FINE_TUNE, load_from=str(last)))
    scores = tested.test()
    assert {'exdark/mAP', 'exdark/AP_Motorbike', 'exdark/AP_Cup', 'coco/bbox_mAP_50'} <= {*scores}
    assert all(torch.equal(tested.model.state_dict()[name], trained[name]) for name in anew)


def test_a_day_checkpoint_is_tested_as_it_is(config: Any, tmp_path: Path) -> None:
    """As any of mmdet's on COCO; what does not fit is refused in a test, also where a training would begin anew."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(config(DAY).model)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'day.pth')
    assert 0 <= scores_of(config(DAY, load_from=str(tmp_path / 'day.pth')))['exdark/mAP'] <= 1
    with pytest.raises(InputError, match=r'has in another shape 6 keys \(bbox_head\.convs_pred\.0\.weight'):
        scores_of(config(FINE_TUNE, load_from=str(tmp_path / 'day.pth')))
