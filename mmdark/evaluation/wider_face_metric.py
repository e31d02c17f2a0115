"""WIDER FACE's official AP (easy, medium, hard) as an MMEngine metric."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import numpy as np
from mmdet.registry import METRICS

from mmdark.errors import InputError

from .average_precision import exact_average_precision
from .face_metric import FaceMetric, TestedImage
from .face_scores import counted_precision
from .matching import match, overlap
from .prediction_files import write_wider_predictions
from .wider_protocol import FACES_FILE, SUBSET_FILES, WiderGroundTruth, evaluate_wider, load_wider_ground_truth


@METRICS.register_module()
class WiderFaceMetric(FaceMetric):
    """Official and exact AP on WIDER FACE's easy, medium and hard subsets.

    The numbers are ``easy_AP``, ``medium_AP``, ``hard_AP`` and ``easy_exact_AP``, ``medium_exact_AP``,
    ``hard_exact_AP``. Warns once if official and exact AP differ by more than 0.01.

    ``AP`` is exact average precision over all annotated faces; detections on ignored faces do not count. The official
    numbers need four mat files that are distributed with WIDER FACE, not with this package. If these are missing or
    contain none of the tested images, only exact AP over the annotated faces is reported, and the log says so.

    Images are named by the last two parts of ``img_path`` without extension, ``0--Parade/0_Parade_Parade_0_102``. Faces
    of official images that were not tested count as missed, with a warning.

    Args:
        data_root: the folder of WIDER FACE.
        ground_truth: the folder of the mat files, relative to ``data_root`` or absolute; None for ``AP`` only.
        outfile_prefix: a folder for result files in the official format, ``event/image.txt``.
        tested_only: compute the official numbers on the tested images only; they are then not comparable with published
            numbers.
        heights: edges of the face height ranges, in pixels of the original image. Adds ``AP_height_16-32`` and so on:
            exact AP over faces at least 16 and less than 32 pixels high. As in COCO's area ranges, detections matched
            to other faces are ignored, and so are unmatched detections of another height.
        attributes: names from the official annotation, such as ``('illumination', 'blur')``. Adds
            ``AP_illumination_1`` and so on: exact AP over the faces with that value, on the images that have one;
            detections on other faces do not count, see :func:`counted_precision`. The pipeline's ``meta_keys`` must
            include ``instances``.
        **kwargs: as :class:`FaceMetric`.

    Raises:
        InputError: files of the ground truth are damaged or some are missing; ``heights`` are not positive and
            increasing; no face has one of the ``attributes``; or as :class:`FaceMetric`.
    """

    default_prefix = 'wider'

    def __init__(
        self,
        data_root: str | os.PathLike = 'data/wider/',
        ground_truth: str | os.PathLike | None = 'eval_tools/ground_truth',
        outfile_prefix: str | None = None,
        tested_only: bool = False,
        heights: Sequence[float] = (),
        attributes: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(outfile_prefix=outfile_prefix, **kwargs)
        if not all(low < high for low, high in pairwise((0, *heights))):
            raise InputError(f'{type(self).__name__}: heights={heights} must rise, from above 0')
        self.tested_only = tested_only
        self.heights = tuple(heights)
        self.attributes = (attributes,) if isinstance(attributes, str) else tuple(attributes)
        self.ground_truth = None if ground_truth is None else os.path.join(data_root, ground_truth)
        self.truth: WiderGroundTruth | None = None
        files = (FACES_FILE, *SUBSET_FILES.values())
        if self.ground_truth and any(os.path.isfile(os.path.join(self.ground_truth, file)) for file in files):
            self.truth = load_wider_ground_truth(self.ground_truth)

    @property
    def needs_annotation(self) -> bool:
        """True if there is no official ground truth."""
        return self.truth is None

    def name_of(self, img_path: str) -> str:
        """``event/image``."""
        return '/'.join(PurePath(img_path).with_suffix('').parts[-2:])

    def write(self, detections: Mapping[str, np.ndarray]) -> None:
        """Write an official result folder."""
        write_wider_predictions(self.outfile_prefix, {name: _with_sides(rows) for name, rows in detections.items()})

    def evaluate_images(self, images: Sequence[TestedImage]) -> dict[str, float]:
        """Exact AP over the annotated faces, and the official numbers if there is ground truth."""
        official = self._official(images)
        bare = [image.name for image in images if image.faces is None]
        if bare and not official:
            raise InputError(
                f'the official ground truth at {self.ground_truth} has no tested image, and {bare[0]} comes without '
                'annotation: name its images event/image, or load it'
            )
        if bare or (official and not any(len(image.faces) for image in images)):
            return official
        return {**self._annotated(images), **official}

    def _official(self, images: Sequence[TestedImage]) -> dict[str, float]:
        """AP of the three subsets; empty if the ground truth is missing or has no tested image."""
        tested = {image.name for image in images}
        missing = [name for name in self.truth.faces if name not in tested] if self.truth else []
        if self.truth is None or len(missing) == len(self.truth.faces):
            state = f'at {self.ground_truth} has no tested image' if self.truth else f'is not at {self.ground_truth}'
            state = 'is not asked for' if self.ground_truth is None else state
            self.log_once('annotated', f'the official ground truth {state}: AP over annotated faces only', logging.INFO)
            return {}
        truth, total = self.truth, len(self.truth.faces)
        if missing and self.tested_only:
            truth = truth.of(tested)
            text = f'official AP over {len(truth.faces)} of {total} official images'
            self.log_once('missing', f'{text}: not to be compared with published numbers', logging.INFO)
        elif missing:
            text = f'{len(missing)} of {total} official images were not tested ({missing[0]} first)'
            self.log_once('missing', f'{text}: all their faces count as not found')
        if unknown := sorted(tested - self.truth.faces.keys()):
            text = f'{len(unknown)} tested images are not official ({unknown[0]} first) and do not count'
            self.log_once('unknown', text)
        detections = {name: _with_sides(rows) for name, rows in self.by_name(images).items()}
        scores = evaluate_wider(detections, truth)
        self.compare(scores)
        official = {f'{subset}_AP': score.official.average_precision for subset, score in scores.items()}
        return official | {f'{subset}_exact_AP': score.exact.average_precision for subset, score in scores.items()}

    def _annotated(self, images: Sequence[TestedImage]) -> dict[str, float]:
        """Exact AP over the annotated faces: all, by height, and by attribute."""
        pairs = [(_falling(image.detections), np.concatenate([image.faces, image.ignored])) for image in images]
        matched = match(pairs, overlap)
        annotated = [np.arange(len(faces)) < len(image.faces) for image, (_, faces) in zip(images, pairs, strict=True)]
        annotated = np.concatenate([*annotated, [False]])  # face is -1 for unmatched detections
        self.warn_if_empty(int(annotated.sum()))
        missed = matched.face < 0

        def average_precision(kept: np.ndarray, false_alarms: np.ndarray) -> float:
            counts = kept[matched.face] | (missed & false_alarms)
            curve = exact_average_precision(matched.scores[counts], matched.is_first[counts], int(kept.sum()))
            return curve.average_precision

        detected_height, face_height = (np.concatenate(boxes) for boxes in zip(*map(_heights, pairs), strict=True))
        face_height = np.append(face_height, np.nan)
        scores = {
            name: average_precision(
                annotated & (low <= face_height) & (face_height < high),
                (low <= detected_height) & (detected_height < high),
            )
            for name, low, high in _height_classes(self.heights)
        }
        return scores | self._by_attribute(images, pairs)

    def _by_attribute(
        self, images: Sequence[TestedImage], pairs: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> dict[str, float]:
        """Exact AP for each value of each attribute; ``pairs`` holds the detections and all faces of each image."""
        scores = {}
        for attribute in self.attributes:
            values = [_values(image, attribute) for image in images]
            known = np.unique(np.concatenate(values))
            known = known[~np.isnan(known)]
            if not len(known):
                raise InputError(
                    f'no face has the attribute {attribute!r}: it needs the official *_bbx_gt.txt, and instances among '
                    "the meta_keys of the test pipeline's PackDetInputs"
                )
            for value in known:
                with_one = [
                    (*pair, each == value) for pair, each in zip(pairs, values, strict=True) if (each == value).any()
                ]
                scores[f'AP_{attribute}_{value:g}'] = counted_precision(with_one) / 100
        return scores


def _height_classes(edges: Sequence[float]) -> list[tuple[str, float, float]]:
    """Name, minimum and (exclusive) maximum height in pixels of each range; the first range holds all faces."""
    bounds = [*pairwise((0, *edges)), (edges[-1], math.inf)] if edges else []
    classes = [(f'AP_height_{low:g}' + ('+' if high == math.inf else f'-{high:g}'), low, high) for low, high in bounds]
    return [('AP', -math.inf, math.inf), *classes]


def _falling(rows: np.ndarray) -> np.ndarray:
    return rows[np.argsort(-rows[:, 4], kind='stable')]


def _heights(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
    return tuple(boxes[:, 3] - boxes[:, 1] for boxes in pair)


def _values(image: TestedImage, attribute: str) -> np.ndarray:
    """Value of an attribute for the faces and then the ignored faces of an image; NaN if unknown."""
    known = [face.get(attribute, np.nan) for face in image.attributes] or [np.nan] * len(image.faces)
    return np.array([*known, *[np.nan] * len(image.ignored)])


def _with_sides(rows: np.ndarray) -> np.ndarray:
    """Convert x1 y1 x2 y2 score to x y w h score; w = x2 - x1 because the official tool computes x2 as x + w."""
    return np.column_stack([rows[:, :2], rows[:, 2:4] - rows[:, :2], rows[:, 4]])
