"""DAI-Net (arXiv:2312.01220) around any detector of mmdet, in mmdet's registries."""

import mmdark.compat  # noqa: F401  builds the bridges first

# isort: split
from .dai_net import DAINet
from .dark_pair import DarkPair, View
from .losses import (
    DecompositionLoss,
    IlluminationSmoothnessLoss,
    MutualAlignmentLoss,
    ReconstructionLoss,
    RedecompositionCoherenceLoss,
    ReflectanceConsistencyLoss,
)
from .pair_preprocessor import DarkPairPreprocessor
from .reflectance_decoder import ReflectanceDecoder
from .retinex_net import Decomposition, MaxRGBRetinex, RetinexNet
from .retinex_training import RetinexTraining
from .tap import Tap

__all__ = [
    'DAINet',
    'DarkPair',
    'DarkPairPreprocessor',
    'Decomposition',
    'DecompositionLoss',
    'IlluminationSmoothnessLoss',
    'MaxRGBRetinex',
    'MutualAlignmentLoss',
    'ReconstructionLoss',
    'RedecompositionCoherenceLoss',
    'ReflectanceConsistencyLoss',
    'ReflectanceDecoder',
    'RetinexNet',
    'RetinexTraining',
    'Tap',
    'View',
]
