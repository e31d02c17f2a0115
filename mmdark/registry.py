"""A registry scope in which ``LoadPhoto`` is registered under the name of mmcv's loader.

In a config, ``dict(type='LoadImageFromFile', _scope_='mmdark')`` builds ``LoadPhoto``. Tools such as MMDetection's
``DetInferencer`` look for a transform of this name and replace it by their own loader.
"""

from mmdet.registry import TRANSFORMS as MMDET_TRANSFORMS
from mmengine.registry import Registry

TRANSFORMS = Registry('transform', parent=MMDET_TRANSFORMS, scope='mmdark')
