"""Concatenate test data sets so that MMDetection's inferencers do not have to load them."""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.datasets import ConcatDataset
from mmdet.registry import DATASETS
from mmdet.utils import ConfigType
from mmengine.dataset import BaseDataset


@DATASETS.register_module()
class LazyConcatDataset(ConcatDataset):
    """mmdet's ``ConcatDataset`` for ``init_detector`` and ``DetInferencer``.

    They take ``test_dataloader.dataset.pipeline`` from the config to prepare an image, and build the data set with
    ``lazy_init=True`` to get its classes. mmdet 3.3.0 accepts no pipeline here, and loads the parts.

    Args:
        datasets: the parts, or their configs.
        pipeline: pipeline for inferencers; not used for the parts, which have their own pipelines.
        lazy_init: do not load the parts.
        **kwargs: as mmdet's ``ConcatDataset``.

    Raises:
        InputError: a part cannot be loaded.
    """

    def __init__(
        self,
        datasets: Sequence[BaseDataset | ConfigType],
        pipeline: Sequence[ConfigType] = (),
        lazy_init: bool = False,
        **kwargs: object,
    ) -> None:
        if lazy_init:
            datasets = [{**one, 'lazy_init': True} if isinstance(one, dict) else one for one in datasets]
        super().__init__(datasets, lazy_init, **kwargs)
