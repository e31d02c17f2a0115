"""A part of a data set, for validations that must be short."""

from __future__ import annotations

from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset


@DATASETS.register_module()
def spread_part(dataset: dict, images: int) -> BaseDataset:
    """A data set of which some images are left, spread evenly over it; all where it has no more.

    Args:
        dataset: config of the data set.
        images: so many are left.
    """
    whole = DATASETS.build(dataset)
    whole.full_init()
    count = min(images, len(whole))
    whole.get_subset_([index * len(whole) // count for index in range(count)])
    return whole
