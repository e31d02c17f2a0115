"""The networks of DSFD and DAI-Net, in mmdet's registries."""

from .dai_net import DAINet
from .dark_pair_preprocessor import DarkPairPreprocessor
from .dark_vgg import DarkVGG
from .dsfd import DSFD
from .feature_enhance import FEM
from .losses import (
    DecompositionLoss,
    IlluminationSmoothnessLoss,
    MutualAlignmentLoss,
    ReconstructionLoss,
    RedecompositionCoherenceLoss,
    ReflectanceConsistencyLoss,
)
from .pal_head import DualShotHead, PALHead
from .published_weights import PublishedWeights
from .reflectance_decoder import ReflectanceDecoder
from .retinex_net import MaxRGBRetinex, RetinexNet

__all__ = [
    'DSFD',
    'FEM',
    'DAINet',
    'DarkPairPreprocessor',
    'DarkVGG',
    'DecompositionLoss',
    'DualShotHead',
    'IlluminationSmoothnessLoss',
    'MaxRGBRetinex',
    'MutualAlignmentLoss',
    'PALHead',
    'PublishedWeights',
    'ReconstructionLoss',
    'RedecompositionCoherenceLoss',
    'ReflectanceConsistencyLoss',
    'ReflectanceDecoder',
    'RetinexNet',
]
