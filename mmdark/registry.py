"""A registry scope in which ``LoadPhoto`` has the name of mmcv's loader.

``dict(type='LoadImageFromFile', _scope_='mmdark')`` in a config is ``LoadPhoto``. MMDetection's ``DetInferencer``, and
tools like it, replace the transform of this name by their own loader.
"""

from mmdet.registry import TRANSFORMS as MMDET_TRANSFORMS
from mmengine.registry import Registry

TRANSFORMS = Registry('transform', parent=MMDET_TRANSFORMS, scope='mmdark')
