"""A scope beside mmdet's, for a class of ours that stands in for one of mmcv's under its name.

``dict(type='LoadImageFromFile', _scope_='mmdark')`` in a config is ``LoadPhoto``. MMDetection's ``DetInferencer``, and
tools that follow it, look for a step of that name to put their own loader in its place.
"""

from mmdet.registry import TRANSFORMS as MMDET_TRANSFORMS
from mmengine.registry import Registry

TRANSFORMS = Registry('transform', parent=MMDET_TRANSFORMS, scope='mmdark')
