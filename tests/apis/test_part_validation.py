"""``--val-images``: AP over some images alone, by day and in the dark."""

from pathlib import Path

import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config, ConfigDict

from mmdark.apis import load_config, validate_on
from mmdark.errors import InputError
from tests.tiny_wider import write_wider

CONFIGS = ('dsfd_dark_wider', 'dsfd_dark_coco', 'dsfd_dark_voc', 'dsfd_dark_finetune_dark-face')


@pytest.mark.parametrize(('images', 'left'), [(1, [0]), (3, [0, 3, 6]), (4, [0, 2, 5, 7]), (99, [*range(10)])])
def test_images_are_spread_over_both_data_sets(tmp_path: Path, images: int, left: list[int]) -> None:
    cfg = load_config('dsfd_dark_wider', {'data_root': f'{write_wider(tmp_path, 2, 10)}/'})
    test = cfg.test_dataloader.to_dict()
    validate_on(cfg, images)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    names = [f'val_{number}.jpg' for number in left]
    found = [Path(dataset.get_data_info(index)['img_path']).name for index in range(len(dataset))]
    assert found == names * 2 and len(dataset.datasets) == 2
    assert cfg.test_dataloader.to_dict() == test


def test_official_numbers_count_the_faces_of_these_images_alone() -> None:
    cfg = load_config('dsfd_dark_wider')
    assert not any(metric.get('tested_only') for metric in cfg.val_evaluator.metrics)
    validate_on(cfg, 100)
    assert [metric.tested_only for metric in cfg.val_evaluator.metrics] == [True, True]
    assert not any(metric.get('tested_only') for metric in cfg.test_evaluator.metrics)


@pytest.mark.parametrize('name', CONFIGS)
def test_every_validation_can_be_cut(name: str) -> None:
    cfg = load_config(name)
    validate_on(cfg, 5)
    datasets = cfg.val_dataloader.dataset.get('datasets', [cfg.val_dataloader.dataset])
    assert all(dataset.type == 'spread_part' and dataset.images == 5 for dataset in datasets)
    assert isinstance(Config(cfg.to_dict()).pretty_text, str)


def test_a_data_set_within_another_is_cut() -> None:
    inner = dict(type='WiderDataset')
    dataset = dict(type='ConcatDataset', datasets=[dict(type='RepeatDataset', times=1, dataset=inner), inner])
    cfg = Config(dict(val_dataloader=dict(dataset=dataset), val_evaluator=dict(type='CocoMetric')))
    validate_on(cfg, 5)
    part = dict(type='spread_part', dataset=inner, images=5)
    assert cfg.val_dataloader.dataset.datasets == [dict(type='RepeatDataset', times=1, dataset=part), part]


def test_a_single_metric_and_a_list_are_told_too() -> None:
    for evaluator in (dict(type='WiderFaceMetric'), [dict(type='WiderFaceMetric')]):
        cfg = Config(dict(val_dataloader=dict(dataset=dict(type='WiderDataset')), val_evaluator=evaluator))
        validate_on(cfg, 5)
        metric = cfg.val_evaluator[0] if isinstance(evaluator, list) else cfg.val_evaluator
        assert metric == ConfigDict(type='WiderFaceMetric', tested_only=True)


@pytest.mark.parametrize(
    ('cfg', 'images', 'line'),
    [
        (
            dict(val_dataloader=dict(dataset={}), val_evaluator=dict(type='A')),
            0,
            '--val-images 0: name a number from 1',
        ),
        (dict(val_dataloader=None, val_evaluator=None), 3, 'has no validation; leave it out'),
        (
            dict(val_dataloader=dict(dataset={}), val_evaluator=dict(type='CocoMetric', ann_file='a.json')),
            3,
            'CocoMetric counts all images of ann_file=a.json',
        ),
    ],
)
def test_what_would_give_a_wrong_number_is_refused(cfg: dict, images: int, line: str) -> None:
    with pytest.raises(InputError, match=line):
        validate_on(Config(cfg), images)
