"""The config of a fine-tuning, of every detector here: its data, its low learning rate, nothing to download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from mmdark.apis import data_sets, load_config
from mmdark.apis.finetune_config import CocoPart, choose_classes, finetune_config, iterations_for
from mmdark.configs import own_configs
from mmdark.errors import InputError

ELSEWHERE = ('retinexnet_wider', 'ablations', 'subset', 'host_study', 'quickstart')
CONFIGS = [name for name, path in own_configs().items() if not {name, path.parent.name} & set(ELSEWHERE)]


def nodes(node: Any) -> Iterator[dict]:
    """Every dict below a node."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
        yield from nodes(inner)


def changed(cfg: Config, iterations: int = 300) -> Config:
    parts = CocoPart(Path('/o/train.json'), Path('/d')), CocoPart(Path('/o/val.json'), Path('/e'))
    finetune_config(cfg, Path('/w.pth'), *parts, ['face'], batch_size=4, iterations=iterations, images=40)
    return cfg


@pytest.mark.parametrize('name', CONFIGS)
def test_every_detector(name: str) -> None:
    before, cfg = load_config(name), changed(load_config(name))
    trained = list(data_sets(cfg.train_dataloader.dataset))
    assert [(one.type, one.ann_file, one.data_prefix.img) for one in trained] == [
        ('CheckedCocoDataset', '/o/train.json', '/d')
    ]
    assert trained[0].pipeline == next(data_sets(before.train_dataloader.dataset)).pipeline
    light, dark = (one.pipeline for one in data_sets(cfg.val_dataloader.dataset))
    assert [step['type'] for step in dark] == [light[0]['type'], 'DarkISP', *(step['type'] for step in light[1:])]
    assert 'instances' in light[-1]['meta_keys'] and cfg.test_dataloader == cfg.val_dataloader
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(before.optim_wrapper.optimizer.lr / 10)
    files = [node['checkpoint'] for node in nodes(cfg.model.to_dict()) if 'checkpoint' in node]
    assert all(file.startswith('mmdark://') for file in files) and cfg.load_from == '/w.pth'
    words = str(cfg._cfg_dict)
    assert 'data/' not in words and 'WiderFaceMetric' not in words and 'wider/AP' not in words


@pytest.mark.parametrize(('iterations', 'expected'), [(1, 1), (90, 5), (300, 5), (10, 1), (25, 3)])
def test_validations(iterations: int, expected: int) -> None:
    """Every so many epochs of ten iterations, and at the end."""
    loop = changed(load_config('gfl_dark_mobilenetv2_wider'), iterations).train_cfg
    epochs = loop.max_epochs
    assert epochs == -(-iterations // 10) and loop.max_iters == iterations
    assert sum(epoch % loop.val_interval == 0 or epoch == epochs for epoch in range(1, epochs + 1)) == expected


def test_a_fine_tuning_of_a_fine_tuning_has_the_same_learning_rate() -> None:
    once = changed(load_config('gfl_dark_mobilenetv2_wider'))
    rate, hooks = once.optim_wrapper.optimizer.lr, list(once.custom_hooks)
    twice = changed(once)
    assert twice.optim_wrapper.optimizer.lr == rate and list(twice.custom_hooks) == hooks


@pytest.mark.parametrize(
    ('images', 'batch', 'expected'), [(1, 1, 300), (50, 16, 300), (200, 16, 375), (1000, 16, 1875), (5000, 16, 4000)]
)
def test_length(images: int, batch: int, expected: int) -> None:
    assert iterations_for(images, batch) == expected


@pytest.mark.parametrize(
    ('known', 'number', 'there', 'chosen'),
    [
        (['face'], 1, ['head'], ['head']),
        (['face'], 1, ['hat', 'face'], ['face']),
        (['car', 'cat'], 2, ['cat'], ['car', 'cat']),
        (['car', 'cat'], 2, ['hat', 'cap'], ['hat', 'cap']),
        ([], 2, ['hat', 'cap'], ['hat', 'cap']),
        (['face'], 1, ['hat', 'cap'], None),
        (['car', 'cat'], 2, ['head'], None),
    ],
)
def test_classes(known: list[str], number: int, there: list[str], chosen: list[str] | None) -> None:
    if chosen is not None:
        assert choose_classes(known, number, there) == chosen
        return
    with pytest.raises(InputError, match=f'the data has the classes {", ".join(there)}, the detector knows {number}: '):
        choose_classes(known, number, there)
