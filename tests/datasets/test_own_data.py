"""The configs for one's own data, through mmdet's data sets, test for real, and with perfect detections give AP 1."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from mmdet.registry import DATASETS, EVALUATOR
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from mmdark.apis import load_config
from mmdark.errors import InputError
from tests.tiny_own_data import write_coco, write_voc
from tests.tiny_wider import FACE, LITE, ROOT

FORMATS = pytest.mark.parametrize(
    ('name', 'write', 'key'), [('coco', write_coco, 'dark/coco/bbox_mAP_50'), ('voc', write_voc, 'dark/voc/mAP')]
)


def config(name: str, root: Path, work_dir: Path) -> Config:
    """The config on ``root``, an eighth as wide; nothing but the data's folder and the model's size is changed."""
    here = {
        'val_dataloader.num_workers': 0,
        'val_dataloader.persistent_workers': False,
        'model.enhancer': None,
        'model.detector.backbone.init_cfg': None,
        'data_root': f'{root}/',
    }
    cfg = load_config(str(ROOT / f'configs/own_data/dsfd_dark_{name}.py'), {**LITE, **here}, str(work_dir))
    cfg.experiment_name = uuid4().hex
    cfg.log_level = 'WARNING'
    return cfg


@FORMATS
def test_the_configs_train_and_test(name: str, write: Callable, key: str, tmp_path: Path) -> None:
    cfg = config(name, write(tmp_path / name, train=2, val=2), tmp_path / 'work')
    cfg.train_cfg.max_epochs = 1
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 1
    assert key in runner.test()


@FORMATS
def test_perfect_detections_give_one(name: str, write: Callable, key: str, tmp_path: Path) -> None:
    """And with every second face missed COCO's 101 points and the exact area give half of it, as they should."""
    cfg = config(name, write(tmp_path / name), tmp_path / 'work')
    dataset = DATASETS.build(cfg.test_dataloader.dataset.datasets[1])
    for missed, low, high in ((0, 1, 1), (2, 0.49, 0.51)):
        evaluator = Evaluator([copy.deepcopy(cfg.test_evaluator.metrics[1])])
        evaluator.dataset_meta = dataset.metainfo
        for place in range(len(dataset)):
            sample = dataset[place]['data_samples']
            faces = sample.gt_instances.bboxes.tensor[: 0 if place < missed else None]
            sample.pred_instances = InstanceData(
                bboxes=faces, scores=torch.ones(len(faces)), labels=torch.zeros(len(faces), dtype=torch.long)
            )
            evaluator.process([sample])
        assert low <= evaluator.evaluate(len(dataset))[key.removeprefix('dark/')] <= high


NOTHING = InstanceData(bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0, dtype=torch.long))


@pytest.mark.parametrize('by_day', [True, False], ids=['by day alone', 'nowhere'])
@FORMATS
def test_no_detection_gives_zero(name: str, write: Callable, key: str, by_day: bool, tmp_path: Path) -> None:
    """COCO: mmdet has no number at all then."""
    cfg = config(name, write(tmp_path / name, train=1, val=2), tmp_path / 'work')
    data, metric = DATASETS.build(cfg.val_dataloader.dataset), EVALUATOR.build(cfg.val_evaluator)
    metric.dataset_meta = data.metainfo
    for place in range(len(data)):
        sample = data[place]['data_samples']
        faces = sample.gt_instances.bboxes.tensor
        found = InstanceData(bboxes=faces, scores=torch.ones(1), labels=torch.zeros(1, dtype=torch.long))
        sample.pred_instances = found if by_day and place < len(data) // 2 else NOTHING
        metric.process([sample])
    metrics = metric.evaluate(len(data))
    assert metrics[key] == 0.0 and metrics[key.replace('dark', 'day')] == (1.0 if by_day else 0.0)


@FORMATS
def test_a_training_without_detections_goes_on(name: str, write: Callable, key: str, tmp_path: Path) -> None:
    cfg = config(name, write(tmp_path / name, train=2, val=1), tmp_path / 'work')
    cfg.train_cfg.max_epochs, cfg.model.detector.test_cfg.score_thr = 2, 2.0
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2 and runner.message_hub.get_scalar(f'val/{key}').data[0].tolist() == [0.0, 0.0]
    assert list((tmp_path / 'work').glob('best_*_iter_1.pth'))


def test_difficult_and_crowd_are_ignored(tmp_path: Path) -> None:
    voc, coco = write_voc(tmp_path / 'voc', difficult=1), write_coco(tmp_path / 'coco')
    document = json.loads((coco / 'annotations/val.json').read_text())
    for annotation in document['annotations']:
        annotation['iscrowd'] = 1
    (coco / 'annotations/val.json').write_text(json.dumps(document))
    x, y, width, height = FACE
    for name, root in (('voc', voc), ('coco', coco)):
        dataset = DATASETS.build(config(name, root, tmp_path / 'work').val_dataloader.dataset.datasets[1])
        sample = dataset[0]['data_samples']
        assert len(sample.gt_instances) == 0
        assert sample.ignored_instances.bboxes.tensor.tolist() == [[x, y, x + width, y + height]]


@FORMATS
def test_test_time_augmentation_keeps_what_the_evaluator_needs(
    name: str, write: Callable, key: str, tmp_path: Path
) -> None:
    cfg = config(name, write(tmp_path / name, train=1, val=1), tmp_path / 'work')
    for dataset in cfg.test_dataloader.dataset.datasets:  # as tools/test.py --tta does
        loading = [step for step in dataset.pipeline if step['type'] in ('LoadImageFromFile', 'DarkISP')]
        dataset.pipeline = [*loading, *cfg.tta_pipeline[1:]]
    cfg.model = {**cfg.tta_model, 'module': cfg.model}
    assert key in Runner.from_cfg(cfg).test()


def coco_scores(ann_file: Path, images: list[int], **metric: object) -> dict[str, float]:
    """Of a detector that finds the face of each image, by a metric with a file of its own."""
    evaluator = Evaluator([dict(type='CocoFaceMetric', ann_file=str(ann_file), **metric)])
    evaluator.dataset_meta = dict(classes=('face',))
    x, y, width, height = FACE
    for image in images:
        found = InstanceData(
            bboxes=torch.tensor([[x, y, x + width, y + height]]).float(),
            scores=torch.ones(1),
            labels=torch.zeros(1).long().long(),
        )
        evaluator.process([DetDataSample(pred_instances=found, metainfo=dict(img_id=image, ori_shape=(80, 96)))])
    return evaluator.evaluate(len(images))


def test_a_metric_with_a_file_of_its_own_reads_it_as_the_data_set_does(tmp_path: Path) -> None:
    """Without areas, crowds, sizes and categories; and the AP of one face of two that is found."""
    path = write_coco(tmp_path) / 'annotations/val.json'
    document = json.loads(path.read_text())
    for entry in document['annotations']:
        del entry['area'], entry['iscrowd']
    for entry in document['images']:
        del entry['width'], entry['height']
    del document['categories']
    path.write_text(json.dumps(document))
    ids = [entry['id'] for entry in document['images']]
    assert coco_scores(path, ids)['coco/bbox_mAP_50'] == 1
    assert coco_scores(path, ids[: len(ids) // 2])['coco/bbox_mAP_50'] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ('change', 'line'),
    [
        (lambda document: document['annotations'][0].pop('bbox'), r'annotation 1 has the bbox None'),
        (lambda document: document['categories'][0].update(name='Face'), "has the categories 'Face', none is 'face'"),
        (lambda document: document.pop('images'), 'images should be a list'),
    ],
)
def test_a_metric_with_a_file_that_is_wrong_says_so_in_a_line(change: Callable, line: str, tmp_path: Path) -> None:
    path = write_coco(tmp_path) / 'annotations/val.json'
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=rf'val\.json.* {line}'):
        coco_scores(path, [1])
    with pytest.raises(InputError, match=r'annotation .*none\.json cannot be read \(No such file'):
        coco_scores(tmp_path / 'none.json', [1])
