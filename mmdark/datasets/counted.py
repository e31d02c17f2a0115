"""Counter-based randomness: the random numbers of a sample depend only on (seed, epoch, index)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from mmdet.registry import DATASETS
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset


@contextmanager
def counted_randomness(counter: Sequence[int]) -> Iterator[int]:
    """Seed ``random``, ``numpy.random`` and torch's CPU generator with a counter, and restore them afterwards.

    Args:
        counter: numbers from 0 on, such as (seed, epoch, index).

    Yields:
        A random seed below 2**63, for generators elsewhere, such as on a GPU.
    """
    seeds = np.random.SeedSequence(counter).generate_state(4, np.uint64)
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(int(seeds[0]))
    np.random.seed(int(seeds[1]) >> 32)  # noqa: NPY002
    torch.default_generator.manual_seed(int(seeds[2]))
    try:
        yield int(seeds[3]) >> 1
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


@DATASETS.register_module()
class CountedDataset(Dataset):
    """Wraps a data set and seeds each sample with a counter; other attributes are forwarded to the inner data set.

    An index of ``ResumableSampler`` has a ``counter``; other indices are passed on unchanged. The data sample gets
    ``random_seed`` as meta information, for ``DarkPairPreprocessor``.

    Args:
        dataset: a data set or its config.
    """

    def __init__(self, dataset: Dataset | dict) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset

    def __len__(self) -> int:
        """The length of the inner data set."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> object:
        """The sample; equal counters give equal samples."""
        counter = getattr(index, 'counter', None)
        if counter is None:
            return self.dataset[index]
        with counted_randomness(counter) as seed:
            sample = self.dataset[int(index)]
        if isinstance(sample, dict) and isinstance(sample.get('data_samples'), BaseDataElement):
            sample['data_samples'].set_metainfo(dict(random_seed=seed))
        return sample

    @property
    def pipeline(self) -> object:
        """The pipeline of the inner data set, which ``PipelineSwitchHook`` replaces."""
        return self.dataset.pipeline

    @pipeline.setter
    def pipeline(self, pipeline: object) -> None:
        """Replace the pipeline of the inner data set."""
        self.dataset.pipeline = pipeline

    def __getattr__(self, name: str) -> object:
        """Forward to the inner data set, except special methods (``__*``), which would bypass ``__getitem__``."""
        if name == 'dataset' or name.startswith('__'):
            raise AttributeError(name)
        return getattr(self.dataset, name)
