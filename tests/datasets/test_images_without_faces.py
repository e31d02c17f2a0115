"""``filter_empty_gt=False``: windows of images without a face to learn are trained on, as the data set says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmdet.registry import DATASETS
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import Config
from mmengine.runner import Runner

from mmdark.apis import load_config
from mmdark.datasets.transforms import DataAnchorSampling, KeepFaces, RandomSquareCrop
from mmdark.datasets.transforms.data_anchor_sampling import AnchorWindow
from tests.tiny_own_data import write_coco, write_voc
from tests.tiny_wider import FACE, lite_config, photo, write_annotation, write_wider

KEEP = {'train_dataloader.dataset.filter_cfg.filter_empty_gt': False}
INVALID = [(*FACE, 0, 0, 0, 1, 0, 0)]


def wider(root: Path, rows: list, **options: Any) -> Config:
    """Of two images the first has ``rows``, the second a face."""
    write_annotation(
        write_wider(root, train=2), 'train', [('0--Noise/train_0.jpg', rows), ('0--Noise/train_1.jpg', [FACE])]
    )
    options = {'data_root': f'{root}/', 'input_size': 64, 'train_dataloader.dataset.ignore_invalid': True, **options}
    return load_config('dsfd_dark_wider', options)


def coco(root: Path, ignored: bool) -> Config:
    """The box of the first image is a crowd, or none."""
    path = write_coco(root, train=2) / 'annotations/train.json'
    document = json.loads(path.read_text())
    boxes = [box for box in document['annotations'] if box['image_id'] == 1]
    for box in boxes:
        box['iscrowd'] = 1
        if not ignored:
            document['annotations'].remove(box)
    path.write_text(json.dumps(document))
    return load_config('dsfd_dark_coco', {'data_root': f'{root}/', 'input_size': 64, **KEEP})


def voc(root: Path, ignored: bool) -> Config:
    """The object of the first image is difficult, or none."""
    path = write_voc(root, train=2) / 'Annotations' / 'train_0.xml'
    text = path.read_text().replace('<difficult>0', '<difficult>1')
    path.write_text(text if ignored else text[: text.index('<object>')] + '</annotation>')
    return load_config('dsfd_dark_voc', {'data_root': f'{root}/', 'input_size': 64, **KEEP})


def dark_face(root: Path) -> Config:
    for folder in ('image', 'label'):
        (root / folder).mkdir(parents=True)
    for number, label in ((1, '0\n'), (2, '1\n20 16 72 72\n')):
        photo(number).save(root / 'image' / f'{number}.png')
        (root / 'label' / f'{number}.txt').write_text(label)
    options = {'data_root': f'{root}/', 'input_size': 64, 'train_dataloader.dataset.split': 'folder', **KEEP}
    return load_config('dsfd_dark_finetune_dark-face', options)


CASES = {
    'WIDER': lambda root: wider(root, [], **KEEP),
    'WIDER, invalid': lambda root: wider(root, INVALID, **KEEP),
    'COCO': lambda root: coco(root, ignored=False),
    'COCO, crowd': lambda root: coco(root, ignored=True),
    'VOC': lambda root: voc(root, ignored=False),
    'VOC, difficult': lambda root: voc(root, ignored=True),
    'DARK FACE': dark_face,
}


def of_the_first(cfg: Config, count: int = 20) -> list[dict]:
    """Of so many samples of the first image those that are not of another one."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    np.random.seed(0)  # noqa: NPY002
    samples = [dataset[0] for _ in range(count)]
    return [sample for sample in samples if sample['data_samples'].img_path == dataset.get_data_info(0)['img_path']]


@pytest.mark.parametrize('name', CASES)
def test_each_sample_is_a_window_of_the_image(name: str, tmp_path: Path) -> None:
    samples = of_the_first(CASES[name](tmp_path))
    assert len(samples) == 20
    for sample in samples:
        images = sample['inputs'].values() if isinstance(sample['inputs'], dict) else [sample['inputs']]
        assert all(image.shape == (3, 64, 64) and image.isfinite().all() for image in images)
        assert len(sample['data_samples'].gt_instances) == 0
    with_ignored = sum(len(sample['data_samples'].ignored_instances) for sample in samples)
    assert (with_ignored > 3) == (',' in name)


@pytest.mark.parametrize('rows', [[], INVALID])
def test_as_published_another_image_is_taken(rows: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the key; and with True, the default, there is no such image. Nothing more is drawn at random."""
    monkeypatch.delattr(DataAnchorSampling, '_imagined_face')
    cfg = wider(tmp_path, rows)
    assert cfg.train_dataloader.dataset.filter_cfg == dict(filter_empty_gt=True)
    assert len(DATASETS.build(cfg.train_dataloader.dataset)) == 1 and len(of_the_first(cfg)) == 20
    cfg.train_dataloader.dataset.filter_cfg = None
    assert len(DATASETS.build(cfg.train_dataloader.dataset)) == 2 and of_the_first(cfg) == []


def results_of(boxes: list, instances: list[dict], **more: Any) -> dict:
    return {
        'img': np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8),
        'instances': instances,
        'gt_bboxes': HorizontalBoxes(np.array(boxes, dtype=np.float32).reshape(-1, 4)),
        'gt_bboxes_labels': np.zeros(len(boxes), int),
        'gt_ignore_flags': np.zeros(len(boxes), bool),
        **more,
    }


def test_an_image_that_loses_its_faces_is_replaced() -> None:
    """The annotation has a face: it is not one of those that the data set keeps without."""
    annotated = [{'bbox': [0, 0, 20, 20], 'bbox_label': 0, 'ignore_flag': 0}]
    for crop, window in ((RandomSquareCrop(), (200, 100, 300, 200)), (DataAnchorSampling(64), (1.0, 200.0, 100.0, 1))):
        assert crop(results_of([], annotated, keep_empty=True)) is None
        if isinstance(crop, DataAnchorSampling):
            window = AnchorWindow(*window)
        crop._sample = lambda *_, drawn=window: drawn
        assert crop(results_of([[0, 0, 20, 20]], annotated, keep_empty=True)) is None
        assert len(crop(results_of([[240, 140, 250, 150]], annotated))['gt_bboxes']) == 1
    keep = KeepFaces(allow_empty=False)
    assert keep(results_of([[-9, -9, -1, -1]], annotated, keep_empty=True)) is None
    assert keep(results_of([], [], keep_empty=False)) is None
    assert keep(results_of([], [], keep_empty=True)) is not None


def test_windows_are_as_those_of_images_with_faces() -> None:
    """Squares inside the image of 0.3 to 1 times its short side; anchors' scales; all over the image."""
    np.random.seed(0)  # noqa: NPY002
    sides, places, scales, filled = [], [], [], []
    for _ in range(300):
        square = RandomSquareCrop()(results_of([], []))
        assert square['img'].shape[0] == square['img'].shape[1]
        sides.append(square['img'].shape[0])
        places.append(-square['homography_matrix'][:2, 2])
        window = DataAnchorSampling(64)(results_of([], []))
        assert window['img'].shape == (64, 64, 3)
        scales.append(window['scale_factor'][0])
        filled.append((window['img'] == (104, 117, 123)).all(2).mean())
    assert 90 <= min(sides) < 110 and max(sides) == 300
    assert (np.min(places, 0) < 30).all() and (np.max(places, 0) > [270, 170]).all()
    assert min(scales) < 0.2 and 1.5 < max(scales) <= 4
    assert min(filled) == 0 and 0 < max(filled) < 1


@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 500), (5, 5, 3)])
def test_the_smallest_images(shape: tuple[int, ...]) -> None:
    for _ in range(20):
        for crop in (RandomSquareCrop(), DataAnchorSampling(64)):
            assert crop(results_of([], [], img=np.zeros(shape, np.uint8)))['img'].size


def test_training_on_them_is_finite(tmp_path: Path) -> None:
    """Batches without any face, and one with a single face."""
    root = write_wider(tmp_path / 'wider', train=4, val=1)
    write_annotation(root, 'train', [(f'0--Noise/train_{n}.jpg', [FACE] if n == 0 else []) for n in range(4)])
    runner = Runner.from_cfg(lite_config(root, tmp_path / 'work', 4, KEEP))
    runner.train()
    assert runner.iter == 4
    assert all(math.isfinite(float(p.sum())) for p in runner.model.parameters())
    assert math.isfinite(runner.message_hub.get_scalar('train/loss').mean(4))
