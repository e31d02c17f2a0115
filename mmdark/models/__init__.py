"""The networks of DSFD and DAI-Net, in mmdet's registries."""

from .dai_net import DAINet
from .dark_pair_preprocessor import DarkPairPreprocessor
from .dark_resnet import DarkResNet
from .dark_vgg import DarkVGG
from .dsfd import DSFD
from .feature_enhance import FEM
from .folded_mobile_net import FoldedMobileNetV2
from .log_preprocessor import LogPreprocessor
from .losses import (
    DecompositionLoss,
    IlluminationSmoothnessLoss,
    MutualAlignmentLoss,
    ReconstructionLoss,
    RedecompositionCoherenceLoss,
    ReflectanceConsistencyLoss,
)
from .multi_scale_tta import MultiScaleTTA
from .pal_head import DualShotHead, PALHead
from .published_weights import PublishedWeights
from .reflectance_decoder import ReflectanceDecoder
from .retinex_net import MaxRGBRetinex, RetinexNet
from .retinex_training import RetinexTraining

__all__ = [
    'DSFD',
    'FEM',
    'DAINet',
    'DarkPairPreprocessor',
    'DarkResNet',
    'DarkVGG',
    'DecompositionLoss',
    'DualShotHead',
    'FoldedMobileNetV2',
    'IlluminationSmoothnessLoss',
    'LogPreprocessor',
    'MaxRGBRetinex',
    'MultiScaleTTA',
    'MutualAlignmentLoss',
    'PALHead',
    'PublishedWeights',
    'ReconstructionLoss',
    'RedecompositionCoherenceLoss',
    'ReflectanceConsistencyLoss',
    'ReflectanceDecoder',
    'RetinexNet',
    'RetinexTraining',
]
