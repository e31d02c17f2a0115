"""MMDetection's own inference takes our configs and checkpoints where there is no data, and finds what ours finds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmdet.registry import DATASETS, MODELS, TRANSFORMS
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmdark.apis import load_config
from mmdark.datasets import LoadPhoto, WiderDataset
from mmdark.errors import InputError
from mmdark.inference import Inferencer
from tests.models.spread_weights import SMALL_HEAD, spread
from tests.tiny_wider import LITE, ROOT, write_wider

SAME_TESTS = {'_base_', 'retinex', 'ablations', 'subset'}
"""Folders whose configs train something else, but are tested as another one."""
CONFIGS = [
    *(path for path in sorted((ROOT / 'configs').rglob('*.py')) if not SAME_TESTS & set(path.parts)),
    ROOT / 'configs' / 'subset' / 'dsfd_dark_lite_subset.py',
    ROOT / 'configs' / 'subset' / 'dsfd_dark_lite_subset_day-only.py',
]
CASES = {
    'dsfd_dark_lite_wider': {name: value for name, value in LITE.items() if name.startswith('model.')},
    'gfl_dark_mobilenetv2_wider': {},
    'retinanet_r18_wider_dark': {f'model.detector.{name}': value for name, value in SMALL_HEAD.items()},
    'fcos_r18_wider_dark': {f'model.detector.{name}': value for name, value in SMALL_HEAD.items()},
    'yolox_tiny_wider_dark': {},
    'rtmdet_tiny_wider_dark': {},
    'retinanet_r18_wider_day': {
        f'model.{name}': value for name, value in {**SMALL_HEAD, 'bbox_head.num_classes': 3}.items()
    },
}
"""One config of each kind, with options that make it small; the last finds three classes on resized, padded images."""
LOAD = dict(type='LoadImageFromFile', _scope_='mmdark')
RESIZED = [
    LOAD,
    dict(type='Resize', scale=(160, 160), keep_ratio=True),
    dict(type='Pad', pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder without any data, and mmdet's scope left as it was."""
    monkeypatch.chdir(tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet'), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_has_what_mmdet_asks_for(path: Path) -> None:
    """What DetInferencer and init_detector read, as they read it: no darkness, no data set."""
    cfg = Config.fromfile(path)
    pipeline = cfg.test_dataloader.dataset.pipeline
    assert pipeline == get_test_pipeline_cfg(cfg)
    assert pipeline[0].type == 'LoadImageFromFile' and isinstance(TRANSFORMS.build(pipeline[0]), LoadPhoto)
    assert 'DarkISP' not in [step.type for step in pipeline]
    tested = cfg.test_dataloader.dataset.get('datasets', [cfg.test_dataloader.dataset])
    assert pipeline == [step for step in tested[0].pipeline if step.type != 'DarkISP'], 'tested as it is used'
    dataset = DATASETS.build({**cfg.test_dataloader.dataset, 'lazy_init': True})
    assert dataset.metainfo['classes'] and not dataset._fully_initialized
    cfg.model.backbone.init_cfg = None  # as init_detector does


def trained(name: str, folder: Path) -> tuple[Path, Path]:
    """A config and a checkpoint as a training leaves them, with weights large enough for scores that differ."""
    (source,) = (path for path in CONFIGS if path.stem == name)
    cfg = load_config(str(source), CASES[name])
    if 'enhancer' in cfg.model:
        cfg.model.enhancer = None  # a training has one, detection needs none
    several = 'num_classes' in str(CASES[name])
    if several:
        cfg.test_dataloader.dataset.pipeline = RESIZED
    cfg.dump(folder / f'{name}.py')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    spread(model)
    meta = dict(dataset_meta=dict(classes=('cat', 'dog', 'bus') if several else ('face',)))
    torch.save(dict(meta=meta, state_dict=model.state_dict()), folder / f'{name}.pth')
    return folder / f'{name}.py', folder / f'{name}.pth'


def inside(found: Any, image: np.ndarray) -> np.ndarray:
    """Rows of label, score and box, cut at the border of the image, the highest score first.

    What lies within one pixel is left out: ours drops boxes on one colour, and any two pixels of noise differ.
    """
    boxes, scores, labels = (np.asarray(found[key], np.float64) for key in ('bboxes', 'scores', 'labels'))
    boxes = boxes.reshape(-1, 4).clip(0, [image.shape[1], image.shape[0]] * 2)
    pixels = (np.ceil(boxes[:, 2:]) - np.floor(boxes[:, :2])).prod(axis=1)
    rows = np.column_stack([labels, scores, boxes])[(boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (pixels > 1)]
    return rows[np.argsort(-rows[:, 1], kind='stable')]


@pytest.mark.parametrize('name', CASES)
def test_it_finds_what_ours_finds(name: str, tmp_path: Path) -> None:
    config, weights = trained(name, tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (96, 120, 3), np.uint8)
    cv2.imwrite('photo.png', image)
    model = init_detector(str(config), str(weights), device='cpu')
    by_path, by_array = (
        inside(inference_detector(model, given).pred_instances, image) for given in ('photo.png', image)
    )
    inferencer = DetInferencer(str(config), str(weights), device='cpu', show_progress=False)
    (called,) = inferencer(image, no_save_vis=True, no_save_pred=True)['predictions']
    ours = Inferencer(str(config), weights, 'cpu', show_progress=False)
    (found,) = ours(image, pred_score_thr=0.0, tta=False)['predictions']
    rows = np.column_stack([found.labels, found.scores, found.boxes])
    assert len(rows) > 3 and ours.class_names == tuple(model.dataset_meta['classes'])
    assert set(found.labels) == set(range(len(ours.class_names)))
    for other in (by_path, by_array, inside(called, image)):
        np.testing.assert_allclose(other, rows, rtol=0, atol=1e-4)


def test_a_broken_file_is_a_line_in_mmdet_too(tmp_path: Path) -> None:
    config, weights = trained('dsfd_dark_lite_wider', tmp_path)
    Path('photo.jpg').write_bytes(b'')
    inferencer = DetInferencer(str(config), str(weights), device='cpu', show_progress=False)
    with pytest.raises(InputError, match=r'photo\.jpg is empty'):
        inferencer('photo.jpg')


def test_the_joined_data_set_is_mmdets_but_for_what_is_asked_lazily(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=1, val=2)
    part = dict(
        type='WiderDataset',
        data_root=str(root),
        ann_file='wider_face_split/wider_face_val_bbx_gt.txt',
        data_prefix=dict(img='WIDER_val/images'),
        test_mode=True,
        pipeline=[],
    )
    joined = DATASETS.build(dict(type='LazyConcatDataset', pipeline=[dict(type='Resize')], datasets=[part, part]))
    plain = DATASETS.build(dict(type='ConcatDataset', datasets=[part, part]))
    assert len(joined) == len(plain) == 4 and joined.metainfo == plain.metainfo
    assert joined[3]['img_path'] == plain[3]['img_path'] and isinstance(joined.datasets[0], WiderDataset)
    with pytest.raises(InputError, match='nowhere'):
        DATASETS.build(dict(type='LazyConcatDataset', datasets=[{**part, 'data_root': 'nowhere'}]))
