"""Average precision per class at IoU 0.5, as papers report it on ExDark."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import mmdark.compat  # noqa: F401  builds the bridges first

# isort: split
import numpy as np
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmdark.errors import InputError

from .average_precision import exact_average_precision
from .face_metric import array_of, boxes_of, finite_detections
from .matching import match, overlap


@dataclass(frozen=True)
class LabelledImage:
    """One image's detections and objects, boxes x1 y1 x2 y2 in pixels of the original image.

    Attributes:
        detections: x1 y1 x2 y2 score, shape ``(N, 5)``, float64.
        labels: of the detections, shape ``(N,)``.
        objects: shape ``(M, 4)``, float64, the ignored ones last.
        object_labels: shape ``(M,)``.
        num_counted: number of objects that are not ignored.
        groups: value of each key of ``group_by``.
    """

    detections: np.ndarray
    labels: np.ndarray
    objects: np.ndarray
    object_labels: np.ndarray
    num_counted: int
    groups: tuple[str, ...]


@METRICS.register_module()
class ExDarkMetric(BaseMetric):
    """``mAP`` and ``AP_<class>``: VOC's AP at IoU 0.5 over all points, what MAET and DAI-Net report on ExDark.

    As in MAET's code (mmdet 2.7: ``eval_map``, mode ``'area'``), a detection is matched to the object of its class with
    the highest IoU, a second detection of an object is a false positive, and classes without objects are left out of
    the mean. Widths and heights are x2 - x1 and y2 - y1; ``VOCMetric`` of mmdet 3 adds 1. Detections of equal score
    form one step of the precision-recall curve, so their order does not matter. Without detections, AP is 0.

    A detector of COCO's 80 classes can be scored on ``ExDarkDataset(coco_classes=True)``; the 68 classes without
    objects do not count.

    Args:
        group_by: meta keys of the data samples, such as ``('light', 'place')``: adds ``mAP_light_Low`` and so on, the
            mean over the classes that occur in the images of that group.
        **kwargs: as :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        InputError: a data sample lacks objects or a key of ``group_by``.
    """

    default_prefix = 'exdark'

    def __init__(self, group_by: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group_by = tuple(group_by)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store the detections and objects of a batch.

        The samples have ``pred_instances`` (``bboxes`` in pixels of the original image, ``scores``, ``labels``),
        ``gt_instances`` and the keys of ``group_by``, and may have ``ignored_instances``.
        """
        for sample in data_samples:
            name = sample.get('img_path', 'an image')
            for key in self.group_by:
                if key not in sample:
                    raise InputError(
                        f'ExDarkMetric: {name} comes without {key}: add it to the meta_keys of the pipeline'
                    )
            if 'bboxes' not in sample.get('gt_instances', {}):
                raise InputError(f'ExDarkMetric: {name} comes without objects: add LoadAnnotations to the pipeline')
            counted = sample['gt_instances']
            parts = [part for part in (counted, sample.get('ignored_instances', {})) if 'bboxes' in part]
            detections, finite = finite_detections(sample, 'ExDarkMetric')
            self.results.append(
                LabelledImage(
                    detections,
                    array_of(sample['pred_instances']['labels'])[finite],
                    np.concatenate([boxes_of(part) for part in parts]),
                    np.concatenate([array_of(part['labels']) for part in parts]),
                    len(counted['labels']),
                    tuple(str(sample[key]) for key in self.group_by),
                )
            )

    def compute_metrics(self, results: list[LabelledImage]) -> dict[str, float]:
        """Metrics without prefix, in [0, 1]; ``mAP`` is NaN if there are no objects."""
        classes = self.dataset_meta['classes']
        precisions = class_average_precisions(results, len(classes))
        if not precisions:
            print_log('ExDarkMetric: no image has an object, so mAP is NaN', logger='current', level=logging.WARNING)
        numbers = {'mAP': _mean(precisions)}
        numbers |= {f'AP_{classes[label]}': precision for label, precision in precisions.items()}
        for place, key in enumerate(self.group_by):
            for group in sorted({image.groups[place] for image in results}):
                images = [image for image in results if image.groups[place] == group]
                numbers[f'mAP_{key}_{group}'] = _mean(class_average_precisions(images, len(classes)))
        return numbers


def class_average_precisions(images: Sequence[LabelledImage], num_classes: int) -> dict[int, float]:
    """AP at IoU 0.5 by label, for the classes with objects in the images."""
    precisions = {}
    for label in range(num_classes):
        pairs, counted = [], [np.zeros(0, bool)]
        for image in images:
            mine, theirs = image.labels == label, image.object_labels == label
            if mine.any() or theirs.any():
                pairs.append((image.detections[mine], image.objects[theirs]))
                counted.append(np.flatnonzero(theirs) < image.num_counted)
        counts = np.concatenate(counted)
        if counts.any():
            matched = match(pairs, partial(overlap, border=0))
            scored = np.append(counts, True)[matched.face]  # face is -1 if unmatched: always scored
            precisions[label] = exact_average_precision(
                matched.scores[scored], matched.is_first[scored], int(counts.sum())
            ).average_precision
    return precisions


def _mean(precisions: dict[int, float]) -> float:
    return float(np.mean([*precisions.values()])) if precisions else float('nan')
