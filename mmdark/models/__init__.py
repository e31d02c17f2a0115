"""The networks of DSFD and of the GFL detector, in mmdet's registries."""

import mmdark.compat  # noqa: F401  builds the bridges first

# isort: split
from .dark_resnet import DarkResNet
from .dark_vgg import DarkVGG
from .dsfd import DSFD
from .dual_shot_head import DualShotHead
from .feature_enhance import FEM
from .folded_mobile_net import FoldedMobileNetV2
from .log_preprocessor import LogPreprocessor
from .multi_scale_tta import MultiScaleTTA
from .pal_head import PALHead
from .published_weights import PublishedWeights

__all__ = [
    'DSFD',
    'FEM',
    'DarkResNet',
    'DarkVGG',
    'DualShotHead',
    'FoldedMobileNetV2',
    'LogPreprocessor',
    'MultiScaleTTA',
    'PALHead',
    'PublishedWeights',
]
