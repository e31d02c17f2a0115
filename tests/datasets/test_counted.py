"""Randomness by counter: the same sample for the same (seed, epoch, index), whoever loads it."""

import copy
import pickle
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.dataset import pseudo_collate
from torch import Tensor
from torch.utils.data import DataLoader

from mmdark.apis import load_config
from mmdark.datasets import CountedDataset
from mmdark.engine import CountedIndex, ResumableSampler
from tests.tiny_wider import ROOT, write_wider

IMAGES = 6


class Draws:
    """A data set that draws from every generator there is; it lacks what ``CountedDataset`` must not ask for."""

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> list[float]:
        assert type(index) is int
        return [index, random.random(), np.random.rand(), float(torch.rand(())), np.random.randint(2**31)]  # noqa: NPY002

    def __getitems__(self, indices: list[int]) -> list:
        raise AssertionError('torch goes round __getitem__')


@pytest.fixture(scope='module')
def faces(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The data set of the main config, all its augmentations at 64 pixels; crops without a face are drawn anew."""
    root = write_wider(tmp_path_factory.mktemp('wider'), train=IMAGES, val=1)
    cfg = load_config(str(ROOT / 'configs' / 'dsfd_dark_wider.py'), {'data_root': f'{root}/', 'input_size': 64})
    return DATASETS.build(cfg.train_dataloader.dataset)


def items(dataset: Any, seed: int = 0, epoch: int = 0, workers: int = 0, **split: int) -> Iterator[dict[str, Any]]:
    """One epoch's samples, as (path, light, dark, boxes, random seed)."""
    sampler = ResumableSampler(dataset, seed=seed)
    for name, value in split.items():
        setattr(sampler, name, value)
    if 'world_size' in split:
        sampler.num_samples, sampler.total_size = IMAGES // sampler.world_size, IMAGES
    sampler.set_epoch(epoch)
    loader = DataLoader(CountedDataset(dataset), 2, sampler=sampler, num_workers=workers, collate_fn=pseudo_collate)
    for batch in loader:
        for light, dark, sample in zip(*batch['inputs'].values(), batch['data_samples'], strict=True):
            yield {
                'path': sample.img_path,
                'light': light,
                'dark': dark,
                'boxes': sample.gt_instances.bboxes.tensor,
                'seed': sample.random_seed,
            }


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(torch.equal(v, other[k]) if isinstance(v, Tensor) else v == other[k] for k, v in one.items())


def by_path(samples: Iterator[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {sample['path']: sample for sample in samples}


def test_workers_ranks_and_resumes_change_nothing(faces: Any) -> None:
    """The oracle is the plain epoch: one process, no worker, from its start."""
    torch.manual_seed(1)
    plain = list(items(faces, epoch=3))
    assert len(by_path(iter(plain))) == IMAGES
    np.random.seed(99)  # noqa: NPY002
    torch.manual_seed(2)
    ways: dict[str, list[dict[str, Any]]] = {
        'workers': list(items(faces, epoch=3, workers=2)),
        'ranks': [s for rank in (1, 0) for s in items(faces, epoch=3, rank=rank, world_size=2)],
    }
    for way, samples in ways.items():
        again = by_path(iter(samples))
        assert all(equal(sample, again[sample['path']]) for sample in plain) and len(again) == IMAGES, way
    resumed = list(items(faces, epoch=3, start=4))
    assert len(resumed) == 2 and all(map(equal, resumed, plain[4:]))


def test_seed_and_epoch_change_everything(faces: Any) -> None:
    plain = by_path(items(faces))
    for others in (by_path(items(faces, epoch=1)), by_path(items(faces, seed=1))):
        for path, other in others.items():
            assert not torch.equal(other['dark'], plain[path]['dark']) and other['seed'] != plain[path]['seed']
            assert other['light'].shape != plain[path]['light'].shape or not torch.equal(
                other['light'], plain[path]['light']
            )


def test_every_generator_is_counted_and_left_as_it_was() -> None:
    dataset = CountedDataset(Draws())
    index = CountedIndex(4, seed=7, epoch=2)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    untouched = Draws()[0][1:]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    first = dataset[index]
    assert Draws()[0][1:] == untouched
    assert dataset[index] == first and first[0] == 4
    others = [dataset[CountedIndex(4, 7, 3)], dataset[CountedIndex(4, 8, 2)], dataset[CountedIndex(5, 7, 2)]]
    for place in range(1, 5):
        assert len({draws[place] for draws in (first, *others)}) == 4
    with pytest.raises(IndexError):
        CountedDataset([0])[CountedIndex(1)]
    assert Draws()[0][1:] != first[1:]


def test_an_index_keeps_its_counter_on_its_way_to_a_worker() -> None:
    index = pickle.loads(pickle.dumps(CountedIndex(3, 5, 8)))
    assert index == 3 and index.counter == (5, 8, 3) and copy.copy(index).counter == index.counter
    dataset = pickle.loads(pickle.dumps(copy.deepcopy(CountedDataset([1, 2, 3]))))
    assert [dataset[place] for place in range(len(dataset))] == [1, 2, 3]


def test_all_else_is_the_inner_data_sets(faces: Any) -> None:
    dataset = CountedDataset(faces)
    assert dataset.metainfo == faces.metainfo and dataset.get_data_info(1) == faces.get_data_info(1)
    assert len(dataset) == IMAGES and not hasattr(CountedDataset(Draws()), '__getitems__')
    with pytest.raises(AttributeError):
        dataset.no_such_thing  # noqa: B018
