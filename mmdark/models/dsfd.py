"""DSFD, the dual shot face detector (arXiv:1810.10220)."""

from __future__ import annotations

from mmdet.models.detectors import SingleStageDetector
from mmdet.registry import MODELS


@MODELS.register_module()
class DSFD(SingleStageDetector):
    """Backbone, feature enhancement and two shots; see :class:`SingleStageDetector` for the arguments.

    The neck returns (original, enhanced) maps, and the head is a ``DualShotHead``.
    """
