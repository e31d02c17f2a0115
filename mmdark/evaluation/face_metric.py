"""Base class of the face metrics: gathers detections over all processes and writes them.

MMEngine calls ``process`` in every process and ``compute_metrics`` in the main one with the results of all.
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
    """One image's detections and annotation, in pixels of the original image.

    Attributes:
        name: as the protocol names images.
        detections: x1 y1 x2 y2 score, shape ``(N, 5)``, float64.
        faces: x1 y1 x2 y2, shape ``(M, 4)``, float64; None where the image comes without annotation.
        ignored: x1 y1 x2 y2 of the ignored faces, shape ``(K, 4)``.
        attributes: of each of ``faces``, from an attribute's name to its value; empty where they are not known.
    """

    __test__ = False  # not a class of tests

    name: str
    detections: np.ndarray
    faces: np.ndarray | None
    ignored: np.ndarray
    attributes: Sequence[Mapping[str, float]] = ()


class FaceMetric(BaseMetric):
    """Gathers :class:`TestedImage`; a derived class names, scores and writes them.

    Args:
        format_only: write the detections and compute nothing, for images without annotation.
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
        """Keep what is needed of a batch.

        The samples have ``img_path`` and ``pred_instances`` (``bboxes`` x1 y1 x2 y2 in pixels of the original image,
        ``scores``), and may have ``gt_instances``, ``ignored_instances``, and ``instances`` of the data set, which give
        the faces' ``attributes``.
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
        """Write the detections and score them, as asked; the numbers' names are without prefix."""
        if self.outfile_prefix is not None:
            self.write(self.by_name(results))
            self.log(f'detections of {len(results)} images are written to {self.outfile_prefix}', logging.INFO)
        return {} if self.format_only else self.evaluate_images(results)

    @property
    @abstractmethod
    def needs_annotation(self) -> bool:
        """Whether images cannot be scored without ``gt_instances``."""

    @abstractmethod
    def name_of(self, img_path: str) -> str:
        """The protocol's name of the image in the file ``img_path``."""

    @abstractmethod
    def write(self, detections: Mapping[str, np.ndarray]) -> None:
        """Write x1 y1 x2 y2 score of every image to ``outfile_prefix``."""

    @abstractmethod
    def evaluate_images(self, images: Sequence[TestedImage]) -> dict[str, float]:
        """Score all images."""

    def by_name(self, images: Sequence[TestedImage]) -> dict[str, np.ndarray]:
        """From each image's name to its detections; of images with the same name the last one, with a warning."""
        found = {image.name: image.detections for image in images}
        if len(found) < len(images):
            shared = len(images) - len(found)
            self.log_once('names', f'{shared} tested images share a name with another: the last counts')
        return found

    def compare(self, scores: Mapping[str, Score]) -> None:
        """Warn, once, where the official AP is far from the exact one."""
        for line in difference_warning(scores):
            self.log_once('difference', line)

    def warn_if_empty(self, num_faces: int) -> None:
        """Warn where there is no face to find, so that AP is NaN."""
        if num_faces == 0:
            self.log('no image has a face, so AP is NaN; format_only=True writes detections without a score')

    def log(self, text: str, level: int = logging.WARNING) -> None:
        """One line in the log, under the metric's name."""
        print_log(f'{type(self).__name__}: {text}', logger='current', level=level)

    def log_once(self, kind: str, text: str, level: int = logging.WARNING) -> None:
        """As :meth:`log`, but only the first line of each kind in the life of this metric."""
        if kind not in self._logged:
            self._logged.add(kind)
            self.log(text, level)


def finite_detections(sample: Mapping[str, Any], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Finite detections of a data sample, x1 y1 x2 y2 score, shape ``(N, 5)``, and which of all they are.

    The log names an image with others; ``metric`` is the name for it.
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
