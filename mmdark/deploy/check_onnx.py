"""An ONNX file beside the detector that it was made from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from mmdet.models.dense_heads import YOLOXHead
from torch import nn

from mmdark.errors import InputError
from mmdark.inference import ImageSource

from .candidates import candidates
from .dense_boxes import reader_of
from .detector_graph import dense_head, every_prior, within
from .onnx_packages import onnx_package
from .suppression import Limits

BEST = 100
"""So many of the best boxes of an image are compared at least, however low they score."""
ROUNDING = 1e-4
"""By so much two float32 computations of the same overlap may differ."""
SIZES = ((224, 160), (150, 261), (97, 131))
"""Heights and widths of the generated images."""


class Tolerance(NamedTuple):
    """How far a file may be from PyTorch in float32.

    Attributes:
        box: of a coordinate, in pixels.
        score: of a score.
    """

    box: float
    score: float


FULL = Tolerance(0.5, 1e-3)
HALF = Tolerance(2.0, 0.02)


class Files(NamedTuple):
    """ONNX models of a detector.

    Attributes:
        whole: the file itself.
        every: the same without the suppression: every prior.
        chosen: what the suppression chooses from; in DSFD every prior.
    """

    whole: bytes
    every: bytes
    chosen: bytes


def check_onnx(
    detector: nn.Module,
    files: Files,
    limits: Limits | None,
    half: bool = False,
    size: tuple[int, int] | None = None,
    images: Iterable[str | os.PathLike] = (),
) -> str:
    """Run an ONNX model and its detector on the same images.

    Scores of all priors are compared, and boxes of those that can become faces: priors, unlike faces, are the same on
    both sides even where two overlapping boxes score alike. So are, in their order, the scores of the candidates that
    a head chooses. The suppression is held against its definition on the boxes that the graph itself computed.

    Args:
        detector: in PyTorch, float32.
        files: the file, and what it was made of.
        limits: of the suppression, if there is one.
        half: the file computes in float16, so more tolerance.
        size: height and width of the only image that it takes, if it is so.
        images: paths; without any, generated images.

    Returns:
        A line with the largest differences.

    Raises:
        InputError: an image cannot be read, or a difference is larger than tolerated.
    """
    tolerance = HALF if half else FULL
    whole, priors, chosen = (_session(each) for each in files)
    score_thr = limits.score_thr if limits else 0.05
    largest, count, compared, labels = np.zeros(2), 0, 0, []
    training = detector.training
    detector.eval()
    try:
        for name, batch in _batches(images, size):
            boxes, scores = priors.run(None, {'images': batch})
            wanted_boxes, wanted_scores = in_pytorch(detector, batch)
            looked = _looked_at(wanted_scores if wanted_scores.ndim == 2 else wanted_scores.max(axis=2), score_thr)
            found = [abs(boxes - wanted_boxes)[looked].max(), abs(scores - wanted_scores).max()]
            largest, count, compared = np.maximum(largest, found), count + len(batch), compared + int(looked.sum())
            if not (found[0] <= tolerance.box and found[1] <= tolerance.score):
                raise InputError(
                    f'the ONNX file differs from PyTorch on {name}: boxes by {found[0]:.3g} px (at most '
                    f'{tolerance.box:g}), scores by {found[1]:.3g} (at most {tolerance.score:g}); nothing was written'
                    + ('; leave out --half' if half else '')
                )
            if not limits:
                continue
            left = limits
            if files.chosen is not files.every:
                boxes, scores, *labels = chosen.run(None, {'images': batch})
                wanted = np.sort(in_pytorch(detector, batch, limits)[1])
                if scores.shape != wanted.shape or abs(np.sort(scores) - wanted).max() > tolerance.score:
                    raise InputError(
                        f'the ONNX file chooses other candidates than PyTorch on {name}; nothing was written'
                    )
                left = limits.after_choice()
            if fault := suppression_fault(*apart(whole.run(None, {'images': batch}), boxes, scores, *labels), left):
                raise InputError(f'the suppression of the ONNX file is wrong on {name}: {fault}; nothing was written')
    finally:
        detector.train(training)
    return (
        f'checked with onnxruntime against PyTorch on {count} images: {compared} boxes within {largest[0]:.2g} px, '
        f'all scores within {largest[1]:.2g}'
    )


@torch.no_grad()
def in_pytorch(detector: nn.Module, batch: np.ndarray, limits: Limits | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The detector's boxes and scores of every prior in BGR images ``(B, H, W, 3)``; with limits, of the candidates.

    The way there is the detector's own: its preprocessor, ``extract_feat`` and head.
    """
    detector = getattr(detector, 'detector', detector)
    inputs = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in batch]
    x = detector.data_preprocessor(dict(inputs=inputs, data_samples=None))['inputs']
    head = dense_head(detector)
    levels = reader_of(detector, head)(head, detector.bbox_head(detector.extract_feat(x)))
    levels = within(head, levels, *batch.shape[1:3])
    found = every_prior(levels) if limits is None else candidates(levels, limits, isinstance(head, YOLOXHead))[:2]
    return found[0].cpu().numpy(), found[1].cpu().numpy()


def apart(
    found: list[np.ndarray], boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray | None = None
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """What :func:`suppression_fault` takes, boxes of several classes moved apart so that it sees one."""
    if labels is None:
        return found, boxes, scores
    step = boxes.max() - boxes.min() + np.float32(1)
    places, kept, kept_scores, kept_labels = found
    kept = kept + (kept_labels[:, None] * step).astype(np.float32)
    return [places, kept, kept_scores], boxes + (labels[..., None] * step).astype(np.float32), scores


def suppression_fault(found: list[np.ndarray], boxes: np.ndarray, scores: np.ndarray, limits: Limits) -> str | None:
    """What is wrong with suppressed faces, or None.

    Args:
        found: the file's ``image``, ``boxes`` and ``scores``.
        boxes: all boxes that it chose from, ``(B, P, 4)``.
        scores: theirs, ``(B, P)``.
        limits: of the suppression.
    """
    if (np.diff(found[0]) < 0).any():
        return 'the faces are not in the order of the images'
    for number, (all_boxes, all_scores) in enumerate(zip(boxes, scores, strict=True)):
        kept_boxes, kept_scores = (each[found[0] == number] for each in found[1:])
        order = (-all_scores).argsort(kind='stable')[: limits.nms_pre if limits.nms_pre > 0 else None]
        order = order[all_scores[order] > np.float32(limits.score_thr)]
        known = {row.tobytes() for row in np.column_stack([all_boxes[order], all_scores[order]])}
        if any(row.tobytes() not in known for row in np.column_stack([kept_boxes, kept_scores])):
            return 'a face is none of the candidates'
        if (np.diff(kept_scores) > 0).any():
            return 'the faces of an image are not sorted'
        if len(kept_boxes) > limits.max_per_img:
            return f'an image has {len(kept_boxes)} faces'
        among = overlaps(kept_boxes, kept_boxes)
        if (np.triu(among, 1) > limits.iou_threshold + ROUNDING).any():
            return 'two faces overlap too much'
        better = kept_scores[None] >= all_scores[order, None]
        explained = (better & (overlaps(all_boxes[order], kept_boxes) > limits.iou_threshold - ROUNDING)).any(axis=1)
        if len(kept_boxes) == limits.max_per_img:
            explained |= all_scores[order] <= kept_scores.min(initial=1)
        unexplained = {row.tobytes() for row in all_boxes[order][~explained]} - {row.tobytes() for row in kept_boxes}
        if unexplained:
            return f'{len(unexplained)} faces are missing that no better one overlaps'
    return None


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of ``(N, 4)`` and ``(M, 4)`` boxes, ``(N, M)``."""
    first, second = first.astype(float)[:, None], second.astype(float)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = sides.clip(min=0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (first, second)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-12)


def _looked_at(scores: np.ndarray, score_thr: float) -> np.ndarray:
    """Which of ``(B, P)`` boxes are compared."""
    place = -min(BEST, scores.shape[1])
    return (scores > score_thr) | (scores >= np.partition(scores, place, axis=1)[:, place, None])


def _batches(paths: Iterable[str | os.PathLike], size: tuple[int, int] | None) -> Iterator[tuple[str, np.ndarray]]:
    """Name and images ``(B, H, W, 3)``: each alone and, where the batch is free, the first with its reflections."""
    images = [(str(path), _read(path)) for path in paths] or list(_generated())
    if size is not None:
        images = [(name, cv2.resize(image, size[::-1])) for name, image in images]
    for name, image in images:
        yield name, image[None]
    if size is None:
        name, image = images[0]
        yield f'a batch of {name}', np.stack([image, image[::-1], image[:, ::-1]])


def _read(path: str | os.PathLike) -> np.ndarray:
    try:
        return ImageSource(os.fspath(path)).read()
    except InputError as error:
        raise InputError(f'image {path}: {error}; name others to check with, or none for generated ones') from None


def _generated() -> Iterator[tuple[str, np.ndarray]]:
    """Clouds and noise, the same ones each time."""
    generator = np.random.default_rng(0)
    for height, width in SIZES:
        clouds = cv2.resize(generator.uniform(0, 255, (6, 8, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
        image = (clouds + generator.normal(0, 12, clouds.shape)).clip(0, 255).astype(np.uint8)
        yield f'the generated image of {width}x{height}', image


def _session(model: bytes):
    runtime = onnx_package('onnxruntime')
    return runtime.InferenceSession(model, providers=['CPUExecutionProvider'])
