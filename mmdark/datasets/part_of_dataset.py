"""A part of a data set, for short validations."""

from __future__ import annotations

from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset


@DATASETS.register_module()
def spread_part(dataset: dict, images: int) -> BaseDataset:
    """A data set reduced to at most ``images`` images, spread evenly over it; ``dataset`` is its config."""
    whole = DATASETS.build(dataset)
    whole.full_init()
    count = min(images, len(whole))
    whole.get_subset_([index * len(whole) // count for index in range(count)])
    return whole
