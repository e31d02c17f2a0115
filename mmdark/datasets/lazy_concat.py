"""Several test data sets as one, from which MMDetection's inferencers learn what they need without loading it."""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.datasets import ConcatDataset
from mmdet.registry import DATASETS
from mmdet.utils import ConfigType
from mmengine.dataset import BaseDataset


@DATASETS.register_module()
class LazyConcatDataset(ConcatDataset):
    """mmdet's ``ConcatDataset``, which keeps two promises to ``init_detector`` and ``DetInferencer``.

    They take ``test_dataloader.dataset.pipeline`` from the config to prepare an image, and build the data set with
    ``lazy_init=True`` to learn its classes. In mmdet's own, the pipelines are those of the parts alone, and the parts
    are loaded even so (mmdet 3.3.0).

    Args:
        datasets: the parts, or their configs.
        pipeline: how inferencers prepare an image; each part has its own.
        lazy_init: do not load the parts, of which only the classes are asked.
        **kwargs: of mmdet's ``ConcatDataset``.

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
