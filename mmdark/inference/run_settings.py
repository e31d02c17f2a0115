"""What must be the same where the results of a run are continued, or joined with those of another."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from mmdet.utils import get_test_pipeline_cfg

from mmdark.whole_file import sha256_of

from .json_lines import Line

if TYPE_CHECKING:
    from .inferencer import Inferencer


def detector_settings(inferencer: Inferencer, pred_score_thr: float, tta: bool) -> Line:
    """What is found depends on this: the weights, the model and its steps, the threshold, the views, what computes.

    Args:
        inferencer: the detector.
        pred_score_thr: the least score.
        tta: whether several views are looked at.
    """
    cfg, weights = inferencer.cfg, Path(inferencer.weights)
    views = (cfg.get('tta_model'), cfg.get('tta_pipeline')) if tta else ()
    return dict(
        weights=f'{weights.name} {sha256_of(weights)[:8]}',
        model=hashlib.sha256(repr((cfg.model, get_test_pipeline_cfg(cfg), *views)).encode()).hexdigest()[:8],
        pred_score_thr=pred_score_thr,
        tta=tta,
        backend=inferencer.backend,
    )
