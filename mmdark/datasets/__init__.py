"""Data sets and their transforms, registered with mmdet."""

import mmdark.compat  # noqa: F401  builds the bridges first

# isort: split
from mmdark.datasets.checked_coco import CheckedCocoDataset
from mmdark.datasets.checked_voc import CheckedVocDataset
from mmdark.datasets.counted import CountedDataset
from mmdark.datasets.dark_face import DarkFaceDataset
from mmdark.datasets.exdark import ExDarkDataset
from mmdark.datasets.lazy_concat import LazyConcatDataset
from mmdark.datasets.part_of_dataset import spread_part
from mmdark.datasets.transforms import (
    ColorDistortion,
    DarkISP,
    DataAnchorSampling,
    KeepFaces,
    LoadPhoto,
    MultiScaleViews,
    PackDarkPair,
    RandomInterpResize,
    RandomSquareCrop,
)
from mmdark.datasets.wider_face import WiderDataset

__all__ = [
    'CheckedCocoDataset',
    'CheckedVocDataset',
    'ColorDistortion',
    'CountedDataset',
    'DarkFaceDataset',
    'DarkISP',
    'DataAnchorSampling',
    'ExDarkDataset',
    'KeepFaces',
    'LazyConcatDataset',
    'LoadPhoto',
    'MultiScaleViews',
    'PackDarkPair',
    'RandomInterpResize',
    'RandomSquareCrop',
    'WiderDataset',
    'spread_part',
]
