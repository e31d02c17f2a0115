"""Mosaic, MixUp, their end, and the moving average of YOLOX and RTMDet, in pairs of light and dark images."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdark.apis import choose_start, load_config
from mmdark.dark_isp import darken
from mmdark.datasets import CountedDataset
from mmdark.engine import CountedIndex
from tests.models.tiny_models import CONFIGS
from tests.tiny_wider import write_wider

from .hosts import build, small

MOSAICS = {'yolox/yolox_tiny_wider_dark.py': 'Mosaic', 'yolox/yolox_s_wider_dark.py': 'MixUp'}
RESIZE = [dict(type='BatchSyncRandomResize', random_size_range=(32, 96), interval=2)]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wider(tmp_path_factory.mktemp('wider'), train=8, val=1)


def config(path: str, root: Path, work_dir: Path | None = None, options: dict[str, Any] | None = None) -> Config:
    """A dark config, narrow and at 64 pixels; three epochs of two batches."""
    own = {
        'data_root': f'{root}/',
        'input_size': 64,
        'model.detector.backbone.init_cfg': None,
        'model.detector.backbone.widen_factor': 0.125,
        'model.detector.neck.in_channels': [32, 64, 128],
        'model.detector.neck.out_channels': 32,
        'model.detector.bbox_head.in_channels': 32,
        'model.detector.bbox_head.feat_channels': 32,
        'model.reflectance_decoder.in_channels': 8,
        'model.enhancer': None,
        'model.detector.data_preprocessor.batch_augments': None,
        'train_cfg.max_epochs': 3,
        'train_dataloader.batch_size': 4,
        'train_dataloader.num_workers': 1,
        'val_dataloader': None,
        'val_evaluator': None,
        'val_cfg': None,
        'default_hooks.checkpoint': dict(interval=1, save_best=None, rule=None, max_keep_ckpts=-1),
        'log_level': 'WARNING',
    }
    return load_config(str(CONFIGS / path), {**own, **(options or {})}, None if work_dir is None else str(work_dir))


class Faces(Hook):
    """Notes how many faces the images of each iteration have."""

    def __init__(self) -> None:
        self.counts: list[list[int]] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self.counts.append([len(sample.gt_instances) for sample in data_batch['data_samples']])


def train(cfg: Config, resume: Path | None = None) -> list[list[int]]:
    """Train, and give the numbers of faces; what is logged lies in the work dir."""
    cfg.experiment_name, faces = uuid4().hex, Faces()
    runner = Runner.from_cfg(cfg)
    choose_start(runner, str(resume) if resume else None)
    runner.register_hook(faces)
    runner.train()
    return faces.counts


def weights(path: Path) -> dict[str, dict[str, torch.Tensor]]:
    checkpoint = torch.load(path, weights_only=True)
    return {name: checkpoint[name] for name in ('state_dict', 'ema_state_dict')}


def warnings(work_dir: Path) -> str:
    return ''.join(path.read_text(encoding='utf-8') for path in work_dir.glob('*/*.log'))


@pytest.mark.parametrize('path', MOSAICS)
def test_the_dark_image_is_the_light_one_darkened_after_all_of_it(path: str, root: Path) -> None:
    cfg = config(path, root)
    assert MOSAICS[path] in [step.type for step in cfg.train_dataloader.dataset.pipeline]
    dataset = CountedDataset(DATASETS.build(cfg.train_dataloader.dataset))
    samples = [dataset[CountedIndex(index)] for index in range(6)]
    model = build(small(path)).train()
    model.data_preprocessor.preprocessor.batch_augments = None
    data = pseudo_collate(samples)
    images, faces = [image.clone() for image in data['inputs']], [len(s.gt_instances) for s in data['data_samples']]
    assert max(faces) > 1  # of several images, which have one each
    batch = model.data_preprocessor(data, True)
    for index, image in enumerate(images):
        light, dark = (batch['inputs'][name][index] for name in ('light', 'dark'))
        unit = image.flip(0).float() / 255  # RGB
        torch.testing.assert_close(light, unit, rtol=0, atol=1e-6)
        assert len(batch['data_samples'][index].gt_instances) == faces[index]
        drawn = model.data_preprocessor.sample(light[None], [batch['data_samples'][index]])
        torch.testing.assert_close(dark, darken(light[None], *drawn, 'corrected')[0], rtol=0, atol=1e-5)
        assert dark.mean() < 0.6 * light.mean()


def test_yolox_ends_mosaic_and_resumes_exactly(root: Path, tmp_path: Path) -> None:
    """The oracle of a resume is the uninterrupted training, which loads in a worker that knows nothing of the end."""
    options = {'custom_hooks.0.num_last_epochs': 1}
    cfg = config('yolox/yolox_tiny_wider_dark.py', root, tmp_path / 'a', options)
    faces = train(cfg)
    assert len(faces) == 6 and max(max(counts) for counts in faces[:2]) > 1
    assert faces[2:] == [[1] * 4] * 4
    options |= {'train_dataloader.num_workers': 0, 'train_dataloader.persistent_workers': False}
    resumed_cfg = config('yolox/yolox_tiny_wider_dark.py', root, tmp_path / 'b', options)
    assert train(resumed_cfg, tmp_path / 'a/iter_1.pth') == faces[1:]  # within an epoch with Mosaic
    assert 'start anew' not in warnings(tmp_path / 'b')
    whole, resumed = weights(tmp_path / 'a/iter_6.pth'), weights(tmp_path / 'b/iter_6.pth')
    for part, values in whole.items():
        assert values.keys() == resumed[part].keys()
        assert all(torch.equal(value, resumed[part][name]) for name, value in values.items()), part
    assert not torch.equal(
        whole['state_dict']['backbone.stem.conv.conv.weight'],
        whole['ema_state_dict']['module.backbone.stem.conv.conv.weight'],
    )


def test_rtmdet_ends_mosaic_and_says_that_a_resume_is_another_training(root: Path, tmp_path: Path) -> None:
    options = {
        'custom_hooks.1.switch_epoch': 1,
        'train_cfg.max_epochs': 2,
        'model.detector.data_preprocessor.batch_augments': RESIZE,
    }
    cfg = config('rtmdet/rtmdet_tiny_wider_dark.py', root, tmp_path / 'a', options)
    faces = train(cfg)
    assert len(faces) == 4 and max(faces[1]) > 1 and max(faces[2] + faces[3]) == 1
    assert 'start anew' not in warnings(tmp_path / 'a')
    train(config('rtmdet/rtmdet_tiny_wider_dark.py', root, tmp_path / 'b', options), tmp_path / 'a/iter_1.pth')
    line = 'BatchSyncRandomResize, CachedMixUp, CachedMosaic start anew, so this training will not equal'
    assert warnings(tmp_path / 'b').count(line) == 1
