"""Base class of the face metrics: collects the detections of all processes and writes them.

MMEngine calls ``process`` in every process, and ``compute_metrics`` in the main process with the results of all.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mmdark.compat  # noqa: F401  builds the bridges first

# isort: split
import numpy as np
import torch
from mmdet.structures.bbox import get_box_tensor
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmdark.errors import InputError

from .average_precision import Score, difference_warning


@dataclass(frozen=True)
class TestedImage:
    """Detections and annotation of one image, in pixels of the original image.

    Attributes:
        name: name of the image in the protocol.
        detections: x1 y1 x2 y2 score, shape ``(N, 5)``, float64.
        faces: x1 y1 x2 y2, shape ``(M, 4)``, float64; None if the image has no annotation.
        ignored: x1 y1 x2 y2 of the ignored faces, shape ``(K, 4)``.
        attributes: attribute name → value, for each of ``faces``; empty if the attributes are unknown.
    """

    __test__ = False  # not a test class for pytest

    name: str
    detections: np.ndarray
    faces: np.ndarray | None
    ignored: np.ndarray
    attributes: Sequence[Mapping[str, float]] = ()


class FaceMetric(BaseMetric):
    """Collects a :class:`TestedImage` per image; derived classes name the images, write and evaluate the detections.

    Args:
        format_only: write the detections without evaluating them, for images without annotation.
        outfile_prefix: where to write the detections; None writes nothing.
        **kwargs: as :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        InputError: ``format_only`` without ``outfile_prefix``; an image lacks ``img_path`` or a needed annotation.
    """

    def __init__(self, format_only: bool = False, outfile_prefix: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if format_only and outfile_prefix is None:
            raise InputError(f'{type(self).__name__}: format_only=True needs outfile_prefix, where to write')
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self._logged: set[str] = set()

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store the detections and annotations of a batch.

        The samples have ``img_path`` and ``pred_instances`` (``bboxes`` x1 y1 x2 y2 in pixels of the original image,
        ``scores``). They may have ``gt_instances``, ``ignored_instances``, and ``instances`` of the data set, which
        contain the ``attributes`` of the faces.
        """
        for sample in data_samples:
            if not sample.get('img_path'):
                raise InputError(f"{type(self).__name__} needs 'img_path': add it to the meta_keys of the pipeline")
            faces = boxes_of(sample['gt_instances']) if 'bboxes' in sample.get('gt_instances', {}) else None
            if faces is None and self.needs_annotation and not self.format_only:
                raise InputError(
                    f'{sample["img_path"]} comes without faces to score against: add LoadAnnotations to the pipeline, '
                    'or write the detections only with format_only=True'
                )
            marked = sample.get('ignored_instances', {})
            ignored = boxes_of(marked) if 'bboxes' in marked else np.zeros((0, 4))
            annotated = [each for each in sample.get('instances', ()) if not each['ignore_flag']]
            attributes = [each.get('attributes', {}) for each in annotated]
            detections, _ = finite_detections(sample, type(self).__name__)
            self.results.append(TestedImage(self.name_of(sample['img_path']), detections, faces, ignored, attributes))

    def compute_metrics(self, results: list[TestedImage]) -> dict[str, float]:
        """Write the detections if ``outfile_prefix`` is set; evaluate unless ``format_only``. Keys have no prefix."""
        if self.outfile_prefix is not None:
            self.write(self.by_name(results))
            self.log(f'detections of {len(results)} images are written to {self.outfile_prefix}', logging.INFO)
        return {} if self.format_only else self.evaluate_images(results)

    @property
    @abstractmethod
    def needs_annotation(self) -> bool:
        """Whether the evaluation needs ``gt_instances``."""

    @abstractmethod
    def name_of(self, img_path: str) -> str:
        """The name in the protocol of the image file ``img_path``."""

    @abstractmethod
    def write(self, detections: Mapping[str, np.ndarray]) -> None:
        """Write x1 y1 x2 y2 score of every image to ``outfile_prefix``."""

    @abstractmethod
    def evaluate_images(self, images: Sequence[TestedImage]) -> dict[str, float]:
        """Evaluate all images."""

    def by_name(self, images: Sequence[TestedImage]) -> dict[str, np.ndarray]:
        """Image name → detections; if images have the same name, warn and use the last one."""
        found = {image.name: image.detections for image in images}
        if len(found) < len(images):
            shared = len(images) - len(found)
            self.log_once('names', f'{shared} tested images share a name with another: the last counts')
        return found

    def compare(self, scores: Mapping[str, Score]) -> None:
        """Warn once if the official AP differs much from the exact AP."""
        for line in difference_warning(scores):
            self.log_once('difference', line)

    def warn_if_empty(self, num_faces: int) -> None:
        """Warn if there are no ground-truth faces, so that AP is NaN."""
        if num_faces == 0:
            self.log('no image has a face, so AP is NaN; format_only=True writes detections without a score')

    def log(self, text: str, level: int = logging.WARNING) -> None:
        """Log one line that starts with the name of the metric."""
        print_log(f'{type(self).__name__}: {text}', logger='current', level=level)

    def log_once(self, kind: str, text: str, level: int = logging.WARNING) -> None:
        """Log only the first line of each kind; otherwise as :meth:`log`."""
        if kind not in self._logged:
            self._logged.add(kind)
            self.log(text, level)


def finite_detections(sample: Mapping[str, Any], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Finite detections of a data sample, x1 y1 x2 y2 score, shape ``(N, 5)``, and the mask that selects them.

    Logs a warning if detections are not finite; ``metric`` is the name in the warning.
    """
    detections = np.column_stack([boxes_of(sample['pred_instances']), array_of(sample['pred_instances']['scores'])])
    finite = np.isfinite(detections).all(1)
    if not finite.all():
        print_log(
            f'{metric}: {(~finite).sum()} detections of {sample.get("img_path", "an image")} hold a value that is not '
            'finite and are left out; mend the model',
            logger='current',
            level=logging.WARNING,
        )
    return detections[finite], finite


def boxes_of(instances: Mapping[str, Any]) -> np.ndarray:
    """The boxes of instances, shape ``(N, 4)``, float64."""
    return array_of(get_box_tensor(instances['bboxes'])).reshape(-1, 4)


def array_of(values: torch.Tensor) -> np.ndarray:
    """A tensor as float64 on the CPU."""
    return values.detach().cpu().double().numpy()
