"""COCO's AP, reported as 0 if there are no detections."""

from __future__ import annotations

import mmdark.compat  # noqa: F401  builds the bridges first

# isort: split
import logging
from typing import Any

import mmengine.fileio as fileio
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmdark.coco_annotation import parse_coco
from mmdark.errors import InputError, one_line
from mmdark.file_limits import refuse_endless
from mmdark.places import FARTHEST

ITEMS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
"""The default ``metric_items`` of mmdet."""


@METRICS.register_module()
class CocoFaceMetric(CocoMetric):
    """``CocoMetric`` that fills in values missing from the file and reports AP 0 if there are no detections.

    mmdet 3.3.0 reports nothing in that case, so a training with ``save_best`` on this metric ends with a KeyError.

    Args:
        ann_file: COCO annotation file, parsed by :mod:`mmdark.coco_annotation`; by default the annotation of the data
            set.
        *args: as :class:`mmdet.evaluation.CocoMetric`.
        **kwargs: likewise.

    Raises:
        InputError: the file is missing, malformed, or has none of the classes.
    """

    def __init__(self, ann_file: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(None, *args, **kwargs)
        self.ann_file = ann_file

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        """Set the meta information and read ``ann_file``, which needs the classes."""
        self._dataset_meta = meta
        if self.ann_file is not None and self._coco_api is None:
            self._coco_api = self._read(tuple(meta['classes']))

    def _read(self, classes: tuple[str, ...]) -> COCO:
        try:
            refuse_endless(self.ann_file)
            text = fileio.get(self.ann_file, backend_args=self.backend_args).decode('utf-8-sig')
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, 'strerror', None) or 'it is not text'
            raise InputError(
                f'annotation {self.ann_file} cannot be read ({reason}): name it with ann_file of the evaluator, or '
                'leave ann_file out to use what the data set has read'
            ) from None
        # Only boxes are compared, so an image without a size gets an arbitrary large one.
        document, oddities = parse_coco(text, self.ann_file, classes, lambda name: (FARTHEST, FARTHEST))
        for line in oddities:
            print_log(one_line(line, 250), 'current', logging.WARNING)
        coco = COCO()
        coco.dataset = document
        coco.createIndex()
        return coco

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The metrics of mmdet, with 0 for those it leaves out."""
        metrics = [metric for metric in self.metrics if metric in ('bbox', 'segm') and not self.format_only]
        zeros = {f'{metric}_{item}': 0.0 for metric in metrics for item in self.metric_items or ITEMS}
        return {**zeros, **super().compute_metrics(results)}
