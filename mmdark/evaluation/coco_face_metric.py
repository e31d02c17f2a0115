"""COCO's AP, also where nothing was found."""

from __future__ import annotations

import mmdark.compat  # noqa: F401  builds the bridges first

# isort: split
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS

ITEMS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
"""What mmdet reports of each of its metrics unless ``metric_items`` asks for others."""


@METRICS.register_module()
class CocoFaceMetric(CocoMetric):
    """``CocoMetric`` whose AP is 0 where there is no detection at all.

    mmdet 3.3.0 reports nothing then, and a training that keeps the best checkpoint by this number ends with a KeyError.
    """

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The metrics of mmdet; zeros under the names of those that it leaves out."""
        metrics = [metric for metric in self.metrics if metric in ('bbox', 'segm') and not self.format_only]
        zeros = {f'{metric}_{item}': 0.0 for metric in metrics for item in self.metric_items or ITEMS}
        return {**zeros, **super().compute_metrics(results)}
