"""docs/extend.md: its code blocks are written into files, and each part is run."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.runner import Runner

from mmdark.apis import load_config
from tests.models.tiny_models import pair_of, samples_of, tiny
from tests.tiny_wider import CHANNELS, FACE, photo

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / 'docs' / 'extend.md').read_text(encoding='utf-8')
_BLOCK = re.compile(r'^`((?!examples/)[\w/]+\.py)`[^\n]*:\n\n```python\n(.*?)^```$', re.MULTILINE | re.DOTALL)
FILES = dict(_BLOCK.findall(PAGE))
X, Y, WIDTH, HEIGHT = FACE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository with nothing but our configs and the files of the page."""
    (tmp_path / 'configs').mkdir()
    for path in (ROOT / 'configs').iterdir():
        (tmp_path / 'configs' / path.name).symlink_to(path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding='utf-8')
    modules = {Path(name).stem for name in FILES}
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for registry in (MODELS, TRANSFORMS):
        for name in ('SevenSteps', 'MotionBlur'):
            registry._module_dict.pop(name, None)
    for module in modules:
        sys.modules.pop(module, None)


def test_every_block_of_code_is_a_file() -> None:
    """Those of the loss are in examples/, which test_examples.py runs."""
    loss = [(ROOT / 'examples' / name).read_text() for name in ('edge_consistency.py', 'atss_shapes_edges.py')]
    assert [f'```python\n{text}```' in PAGE for text in loss] == [True, True]
    assert len(FILES) + len(loss) == PAGE.count('```python') == 8
    assert {Path(name).stem for name in FILES} == set(re.findall(r'configs/mine/(\w+)\.py\n```', PAGE))


def test_the_backbone_trains_and_predicts(folder: Path) -> None:
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(folder / 'configs' / 'mine' / 'seven_steps.py').model)
    model.init_weights()
    pair, samples = pair_of(), samples_of([[8, 8, 40, 40]], [[8, 8, 40, 40]])
    losses = model.loss(pair, samples)
    assert {'pal1_loss_cls', 'pal2_loss_bbox', 'loss_mutual', 'loss_coherence'} <= losses.keys()
    total = sum(sum(value) if isinstance(value, list) else value for value in losses.values())
    total.backward()
    grads = [parameter.grad for parameter in model.detector.backbone.parameters()]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)
    maps = model.detector.backbone(pair['dark'])
    assert [map_.shape[2] for map_ in maps] == [64 // stride or 1 for stride in (4, 8, 16, 32, 64, 128)]
    with torch.no_grad():
        samples = model.eval().predict(pair['dark'], samples)
    assert all((sample.pred_instances.scores > 0).all() for sample in samples)


def test_the_data_set_trains_and_is_scored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = folder / 'data' / 'mine' / 'images' / 'street'
    images.mkdir(parents=True)
    for part, count in (('train', 4), ('val', 2)):
        with open(folder / 'data' / 'mine' / f'{part}.csv', 'w', newline='') as file:
            for number in range(count):
                photo(number).save(images / f'{part}_{number}.jpg')
                csv.writer(file).writerow([f'street/{part}_{number}.jpg', X, Y, X + WIDTH, Y + HEIGHT])
    monkeypatch.chdir(folder)
    cfg = _lite(load_config('configs/mine/csv_faces.py', {'input_size': 64}, str(folder / 'work')))
    runner = Runner.from_cfg(cfg)
    runner.train()

    data = runner.train_dataloader.dataset
    assert len(data) == 4
    assert [instance['bbox'] for instance in data.get_data_info(0)['instances']] == [[X, Y, X + WIDTH, Y + HEIGHT]]
    assert 0 <= runner.message_hub.get_scalar('val/dark/csv/AP').current() <= 1
    assert list((folder / 'work').glob('best_dark_csv_AP_iter_2.pth'))


def _lite(cfg: Config) -> Config:
    """Two iterations of a model an eighth as wide, and one validation."""
    tiny(cfg.model)
    cfg.model.enhancer, cfg.model.reflectance_decoder.in_channels = dict(type='MaxRGBRetinex', kernel_size=5), 8
    assert cfg.model.detector.neck.in_channels == CHANNELS
    cfg.train_cfg.max_epochs = cfg.train_cfg.val_interval = 1
    cfg.train_dataloader.batch_size = 2
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.experiment_name, cfg.log_level = 'extend', 'WARNING'
    return cfg


def test_the_transform_blurs_along_rows_before_the_dark(folder: Path) -> None:
    cfg = Config.fromfile(folder / 'configs' / 'mine' / 'motion_blur.py')
    steps = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    assert steps[-3:] == ['MotionBlur', 'DarkISP', 'PackDarkPair']
    blur = TRANSFORMS.build(dict(type='MotionBlur', longest=9))
    image = np.zeros((5, 31, 3), np.uint8)
    image[:, 15] = 252
    np.random.seed(3)  # noqa: NPY002
    blurred = Compose([blur])(dict(img=image))['img']
    np.random.seed(3)  # noqa: NPY002
    length = np.random.randint(1, 10)  # noqa: NPY002
    lit = np.flatnonzero(blurred[0, :, 0])
    assert len(lit) == length > 1
    assert (abs(blurred[:, lit].astype(int) - 252 / length) <= 1).all()
