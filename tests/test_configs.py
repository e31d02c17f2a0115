"""Every config parses, builds and runs, and says what the papers say; for the ablations see test_ablations.py, too."""

import math
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import torch
from config_differences import config_differences
from mmdet.registry import DATASETS, MODELS, TASK_UTILS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdark.apis import load_config
from mmdark.errors import InputError
from tests.tiny_dark_face import write_dark_face
from tests.tiny_own_data import write_coco, write_voc
from tests.tiny_wider import CHANNELS, FACE, ROOT, write_wider

OTHERS = {'_base_', 'exdark', 'retinex'}
CONFIGS = sorted(path for path in (ROOT / 'configs').rglob('*.py') if not OTHERS & set(path.parts))
"""Those of face detectors; test_exdark_configs.py and models/test_retinex_training.py test the others."""
HOSTS = ('dino', 'faster_rcnn', 'fcos', 'retinanet', 'rtmdet', 'yolov3', 'yolox')
"""Detectors of mmdet with DAI-Net around them; tests/adaptation/test_hosts.py takes their steps."""
DSFD_CONFIGS = [path for path in CONFIGS if path.parent.name not in ('gfl', 'host_study', *HOSTS)]
"""Those of DSFD, alone or in DAI-Net; see test_gfl_configs.py for GFL."""
LITE_CONFIGS = ('dsfd_dark_lite_wider.py', 'quickstart/dsfd_dark_lite_demo.py')
MAIN = ROOT / 'configs' / 'dsfd_dark_wider.py'
STRETCHED = {'dsfd_dark_lite_overfit': 320}
"""Configs that train and test on squares of this side."""
every_config = pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)


@pytest.fixture(scope='module')
def wider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(write_coco(write_wider(tmp_path_factory.mktemp('wider'), train=4, val=4)))


@pytest.fixture(scope='module')
def dark_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dark_face(tmp_path_factory.mktemp('dark_face') / 'tiny')


def data_options(path: Path, wider: Path, dark_face: Path) -> dict[str, Any]:
    """The options that bring a config's data sets to the tiny folders."""
    if path.parent.name == 'subset':
        return {'data_root': f'{wider}/', **subset_options(path, wider)}
    if path.parent.name != 'dark_face':
        return {'data_root': f'{wider}/'}
    options = {'data_root': f'{dark_face}/', 'allow_missing': True}
    if 'zero-shot' in path.stem:  # trained and validated as the main config
        places = ('train_dataloader.dataset', *(f'val_dataloader.dataset.datasets.{index}' for index in (0, 1)))
        options |= {f'{place}.data_root': f'{wider}/' for place in places}
    return options


def subset_options(path: Path, wider: Path) -> dict[str, Any]:
    """The tiny folder in place of the parts of WIDER FACE that a config of the study names, and of their dark copy."""
    cfg = Config.fromfile(path)
    options = {'train_dataloader.dataset.only': None}
    for loader in ('val_dataloader', 'test_dataloader'):
        for index in range(len(cfg[loader].dataset.datasets if cfg[loader] else ())):
            place = f'{loader}.dataset.datasets.{index}'
            options |= {f'{place}.only': None, f'{place}.data_root': f'{wider}/'}
    return options


@pytest.fixture
def main() -> Config:
    return Config.fromfile(MAIN)


@pytest.mark.parametrize('path', DSFD_CONFIGS, ids=lambda path: path.stem)
def test_models_build(path: Path) -> None:
    cfg = Config.fromfile(path)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    model = getattr(model, 'detector', model)
    assert model.bbox_head.second_shot.test_cfg.max_per_img == 750
    assert len(model.neck.enhance) == len(model.backbone.out_channels) == 6
    assert [layer.conv.out_channels for layer in model.neck.topdown] == [*reversed(model.backbone.out_channels)]
    heads = (model.bbox_head.first_shot, model.bbox_head.second_shot)
    assert {tuple(head.in_channels) for head in heads} == {model.backbone.out_channels}


@every_config
def test_pipelines_and_data_sets_build(path: Path, wider: Path, dark_face: Path) -> None:
    cfg = load_config(str(path), data_options(path, wider, dark_face))
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    train = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(train) == 4
    size = STRETCHED.get(path.stem, cfg.input_size)
    inputs = train[0]['inputs']
    for image in inputs.values() if isinstance(inputs, dict) else [inputs]:
        assert image.shape == (3, size, size)
    assert isinstance(inputs, dict) == (cfg.train_dataloader.dataset.pipeline[-1]['type'] == 'PackDarkPair')
    x, y, width, height = FACE
    tested = (size, size) if path.stem in STRETCHED else (80, 96)
    own_size = path.parent.name == 'host_study' and not path.stem.startswith('gfl')
    if path.stem.startswith('dsfd_dark_lite_subset') or own_size:
        tested = (533, 640)
    loaders = [loader for loader in (cfg.val_dataloader, cfg.test_dataloader) if loader]
    for loader in loaders:
        dataset = DATASETS.build(loader.dataset)
        assert len(dataset) == 4 * len(loader.dataset.get('datasets', [0]))
        for index in range(len(dataset)):
            sample = dataset[index]
            assert sample['inputs'].shape == (3, *tested)
            (face,) = sample['data_samples'].gt_instances.bboxes.tensor.tolist()
            assert face == [x, y, x + width, y + height]


class Toy(BaseModel):
    """Has the parts that the schedules name, and trains in no time."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(1, 1)
        self.reflectance_decoder = nn.Linear(1, 1)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'loss') -> dict[str, Tensor]:
        return {'loss': self.reflectance_decoder(self.backbone(torch.ones(1, 1))).sum()}


def toy_runner(path: Path, options: dict[str, Any], work_dir: Path) -> Runner:
    cfg = load_config(str(path), options, str(work_dir))
    cfg.model = {'type': Toy}
    cfg.experiment_name = uuid4().hex
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        if loader:
            loader.update(num_workers=0, persistent_workers=False)
    return Runner.from_cfg(cfg)


@pytest.mark.parametrize(
    'path', [path for path in CONFIGS if path.parent.name != 'ablations'], ids=lambda path: path.stem
)
def test_runners_build_with_their_loops_and_evaluators(
    path: Path, wider: Path, dark_face: Path, tmp_path: Path
) -> None:
    runner = toy_runner(path, data_options(path, wider, dark_face), tmp_path)
    assert type(runner.train_loop).__name__ == 'ResumableEpochLoop'
    epochs, cut = runner.cfg.train_cfg.max_epochs, runner.cfg.train_cfg.max_iters
    assert runner.max_iters == min(cut or math.inf, epochs * len(runner.train_dataloader))
    assert isinstance(runner.test_loop.evaluator, Evaluator) and (runner.val_loop is None) == (not runner.cfg.val_cfg)
    assert {type(hook).__name__ for hook in runner.hooks} >= {
        'AverageBuffers',
        'LiveProgress',
        'PlainCheckpoint',
        'SaveOnSigterm',
        'StopOnNonFinite',
        'StrictCheckpoint',
        'WholeCheckpoint',
    }
    optim = runner.build_optim_wrapper(runner.cfg.optim_wrapper)
    runner.optim_wrapper = optim
    (scheduler,) = runner.build_param_scheduler(runner.cfg.param_scheduler)
    assert scheduler.get_last_value()


def test_published_schedule(main: Config, wider: Path, tmp_path: Path) -> None:
    """Reference: SGD, lr 5e-4 for 4 images in a step, decoder a tenth, x0.1 at epochs 50, 62 and 75."""
    runner = toy_runner(MAIN, {'data_root': f'{wider}/'}, tmp_path)
    runner.optim_wrapper = runner.build_optim_wrapper(main.optim_wrapper)
    optimizer = runner.optim_wrapper.optimizer
    assert type(optimizer) is torch.optim.SGD
    base = 5e-4
    assert main.default_hooks.sqrt_scale_lr == dict(type='SqrtScaleLR', enable=True, base_batch_size=4)
    for name, parameter in runner.model.named_parameters():
        (group,) = (g for g in optimizer.param_groups if any(p is parameter for p in g['params']))
        assert group['lr'] == pytest.approx(base / (10 if 'reflectance_decoder' in name else 1), rel=1e-4)
        assert (group['momentum'], group['weight_decay']) == (0.9, 5e-4)
    assert runner.optim_wrapper.clip_grad_kwargs == {'max_norm': 35}
    (scheduler,) = runner.build_param_scheduler(main.param_scheduler)
    drops = {}
    for epoch in range(1, 101):
        before = optimizer.param_groups[0]['lr']
        scheduler.step()
        after = optimizer.param_groups[0]['lr']
        if after != before:
            drops[epoch] = after / before
    assert drops == {50: pytest.approx(0.1), 62: pytest.approx(0.1), 75: pytest.approx(0.1)}
    batches = 12880 // 32
    assert [round(20000 / batches), round(25000 / batches), round(30000 / batches)] == list(drops)
    assert (main.train_cfg.max_epochs, main.train_cfg.max_iters, main.train_dataloader.batch_size) == (100, None, 4)
    assert main.train_cfg.val_interval == 1
    hooks = main.default_hooks
    assert (hooks.checkpoint.interval, hooks.checkpoint.by_epoch, hooks.logger.interval) == (5000, False, 100)
    assert main.data_root == 'data/wider/' and main.input_size == 640


def test_published_loss_weights(main: Config) -> None:
    """Reference: decomposition 1, mutual 0.1 at T = 4, enhance x0.1 of (0.01, 1, 0.5, 0.001)."""
    weights = {name: cfg['loss_weight'] for name, cfg in main.model.losses.items()}
    assert weights == {
        'decomposition': 1.0,
        'mutual': 0.1,
        'consistency': pytest.approx(0.001),
        'reconstruction': pytest.approx(0.1),
        'smoothness': pytest.approx(0.05),
        'coherence': pytest.approx(0.0001),
    }
    assert main.model.losses.mutual.temperature == 4
    with torch.device('meta'):
        model = MODELS.build(main.model)
    built = {name: loss.loss_weight for name, loss in model.losses.items()}
    assert built == weights


def test_published_anchors_matching_and_test_settings(main: Config) -> None:
    detector = main.model.detector
    head = detector.bbox_head
    for shot, smallest in ((head.first_shot, 8), (head.second_shot, 16)):
        generator = TASK_UTILS.build(shot.anchor_generator)
        priors = generator.grid_priors([(160, 160), (80, 80), (40, 40), (20, 20), (10, 10), (5, 5)], device='cpu')
        assert sum(map(len, priors)) == 34125
        for level, boxes in enumerate(priors):
            stride, side = 4 * 2**level, smallest * 2**level
            center = torch.tensor([1.5 * stride, 0.5 * stride])  # of the second cell in the first row
            assert boxes[1].tolist() == [*(center - side / 2).tolist(), *(center + side / 2).tolist()]
        assert shot.bbox_coder.target_stds == [0.1, 0.1, 0.2, 0.2] and shot.num_classes == 1
    train, test = detector.train_cfg, detector.test_cfg
    assert (train.assigner.pos_iou_thr, train.assigner.neg_iou_thr, train.neg_pos_ratio) == (0.35, 0.35, 3)
    assert train.assigner.min_pos_iou == 0 and train.smoothl1_beta == 1 and train.allowed_border == -1
    assert (test.score_thr, test.nms_pre, test.nms.iou_threshold, test.max_per_img) == (0.05, 5000, 0.3, 750)
    assert [metric.type for metric in main.val_evaluator.metrics] == ['WiderFaceMetric'] * 2


def test_published_size_of_the_network(main: Config) -> None:
    """49.83 M parameters in all, the frozen teacher aside; RGB in [0, 1] without a mean."""
    with torch.device('meta'):
        model = MODELS.build(main.model)
    learnt = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert round(learnt / 1e6, 2) == 49.83
    assert not any(parameter.requires_grad for parameter in model.enhancer.parameters())
    preprocessor = main.model.detector.data_preprocessor
    assert (preprocessor.mean, preprocessor.std, preprocessor.bgr_to_rgb) == ([0, 0, 0], [255, 255, 255], True)


def test_darkness_in_training_is_drawn_and_in_testing_is_fixed(main: Config) -> None:
    (train,) = (step for step in main.train_dataloader.dataset.pipeline if step['type'] == 'DarkISP')
    assert train.preset == 'corrected' and train.get('seed') is None
    for loader in (main.val_dataloader, main.test_dataloader):
        day, dark = (dataset.pipeline for dataset in loader.dataset.datasets)
        (test,) = (step for step in dark if step['type'] == 'DarkISP')
        assert (test.preset, test.seed, test.keep_light) == ('corrected', 0, False)
        assert day == [step for step in dark if step['type'] != 'DarkISP']
    assert main.val_evaluator.dataset_prefixes == ['day', 'dark']


@pytest.mark.parametrize('part', ['detector.backbone', 'enhancer'])
def test_missing_weights_name_an_option_that_works(main: Config, part: str) -> None:
    """The way out that the error line names is one that ``load_config`` takes."""
    cfg = Config.fromfile(MAIN)
    place = cfg.model.detector.backbone if 'backbone' in part else cfg.model[part]
    initialisers = place.init_cfg
    published = initialisers[-1] if isinstance(initialisers, list) else initialisers
    files = {'detector.backbone': 'weights/vgg16_reducedfc.pth', 'enhancer': 'mmdark://retinexnet_wider.pth'}
    assert published.checkpoint == files[part]
    if part == 'detector.backbone':
        place.widen_factor = 0.125
    published.checkpoint = 'no/such/weights.pth'
    module = MODELS.build(place)
    with pytest.raises(InputError, match=r'no/such/weights\.pth.*does not exist.*get it from.*without it') as caught:
        module.init_weights()
    *_, key = re.findall(r'(model\.[\w.]+)=None', str(caught.value))
    changed = load_config(str(MAIN), {key: None})
    assert config_differences(main, changed).keys() == {key}


def test_the_lite_detector_needs_no_file() -> None:
    """3 M parameters, and no weights to download, as its docstring says; quickstart is the same model."""
    lite, quick = (Config.fromfile(ROOT / 'configs' / name) for name in LITE_CONFIGS)
    assert 'PublishedWeights' not in str(lite.model) and 'RetinexNet' not in str(lite.model)
    assert lite.model == quick.model
    model = MODELS.build(lite.model)
    model.init_weights()
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6) == 3
    assert lite.train_cfg.max_iters == lite.param_scheduler.total_steps
    assert quick.train_cfg.max_iters == quick.param_scheduler.total_steps == quick.default_hooks.checkpoint.interval


def test_the_day_detector_is_the_dark_ones_base(main: Config) -> None:
    """Backbone, neck, head, matching and test settings are the same; the dark branches come on top."""
    day = Config.fromfile(ROOT / 'configs' / 'dsfd' / 'dsfd_vgg16_wider.py')
    assert day.model == main.model.detector
    with torch.device('meta'):
        model = MODELS.build(day.model)
    assert {
        type(module).__module__.split('.')[2] for module in model.modules() if 'mmdark' in type(module).__module__
    } == {
        'dark_vgg',
        'dsfd',
        'dual_shot_head',
        'feature_enhance',
        'pal_head',
    }


@pytest.mark.parametrize('depth', [50, 101, 152])
def test_dark_resnets_are_the_day_ones_with_the_dark_branches(main: Config, depth: int) -> None:
    day = Config.fromfile(ROOT / 'configs' / 'dsfd' / f'dsfd_resnet{depth}_wider.py').model
    dark = Config.fromfile(ROOT / 'configs' / 'dai_net' / f'dsfd_dark_resnet{depth}_wider.py').model
    assert day.backbone.depth == depth and f'resnet{depth}' in day.backbone.init_cfg[-1].source
    assert day.backbone.init_cfg[-1].checkpoint == f'weights/resnet{depth}.pth'
    assert 'model.detector.backbone.init_cfg=None' in dark.detector.backbone.init_cfg[1].pop('without')
    assert 'model.backbone.init_cfg=None' in day.backbone.init_cfg[1].pop('without')
    assert dark.detector == day
    assert {**dark, 'detector': None} == {**main.model, 'detector': None}


@pytest.mark.parametrize(
    'path',
    [path for path in CONFIGS if 'resnet' in path.stem or path.stem == 'dsfd_vgg16_wider'],
    ids=lambda path: path.stem,
)
def test_published_choices_train_and_test(path: Path) -> None:
    """A step of training and a test, an eighth as wide; the dark ResNets hear of the dark in their stem."""
    cfg = Config.fromfile(path).model
    day = cfg.get('detector', cfg)
    resnet = day.backbone.type == 'DarkResNet'
    channels = [32, 64, 128, 256, 64, 32] if resnet else CHANNELS
    day.backbone.update(widen_factor=0.125, init_cfg=dict(type='Xavier', layer='Conv2d', distribution='uniform'))
    day.neck.in_channels = day.bbox_head.first_shot.in_channels = day.bbox_head.second_shot.in_channels = channels
    if cfg.type == 'DAINet':
        cfg.enhancer = dict(type='MaxRGBRetinex')
        cfg.reflectance_decoder.in_channels = 8
    model = MODELS.build(cfg)
    model.init_weights()
    light = [torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8) for _ in range(2)]
    faces = InstanceData(bboxes=torch.tensor([[10.0, 12.0, 42.0, 44.0]]), labels=torch.tensor([0]))
    meta = {'img_shape': (64, 96), 'ori_shape': (64, 96), 'scale_factor': (1.0, 1.0)}
    samples = [DetDataSample(gt_instances=faces, metainfo=meta) for _ in light]
    pair = {'light': light, 'dark': [image // 4 for image in light]}
    data = {'inputs': pair if cfg.type == 'DAINet' else light, 'data_samples': samples}
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), 1e-4))
    backbone = getattr(model, 'detector', model).backbone
    stem = backbone.conv1.weight if resnet else backbone.stages[0][0].conv.weight
    before = stem.detach().clone()
    losses = model.train().train_step(data, optimizer)
    assert all(math.isfinite(value) for value in losses.values())
    assert torch.isfinite(stem).all() and not torch.equal(stem, before)
    (found, _) = model.eval().test_step({'inputs': light, 'data_samples': samples})
    assert found.pred_instances.bboxes.shape == (len(found.pred_instances.scores), 4)
    assert all(torch.isfinite(value).all() for value in (found.pred_instances.bboxes, found.pred_instances.scores))
