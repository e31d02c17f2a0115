"""Importing mmdark first bridges mmcv, whichever test module is collected first."""

from mmengine.registry import init_default_scope

import mmdark  # noqa: F401

init_default_scope('mmdet')
