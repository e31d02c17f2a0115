"""An ONNX file beside the detector that it was made from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from mmdark.errors import InputError
from mmdark.inference import ImageSource

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


def check_onnx(
    detector: nn.Module,
    model: bytes,
    every: bytes,
    limits: Limits | None,
    half: bool = False,
    size: tuple[int, int] | None = None,
    images: Iterable[str | os.PathLike] = (),
) -> str:
    """Run an ONNX model and its detector on the same images.

    Scores of all priors are compared, and boxes of those that can become faces: priors, unlike faces, are the same on
    both sides even where two overlapping boxes score alike. The suppression is held against its definition on the
    boxes that the graph itself computed.

    Args:
        detector: in PyTorch, float32.
        model: the file.
        every: the model without the suppression; the same as ``model`` where there is none.
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
    candidates, whole = _session(every), _session(model)
    score_thr = limits.score_thr if limits else 0.05
    largest, count, compared = np.zeros(2), 0, 0
    training = detector.training
    detector.eval()
    try:
        for name, batch in _batches(images, size):
            boxes, scores = candidates.run(None, {'images': batch})
            wanted_boxes, wanted_scores = in_pytorch(detector, batch)
            chosen = _looked_at(wanted_scores, score_thr)
            found = [abs(boxes - wanted_boxes)[chosen].max(), abs(scores - wanted_scores).max()]
            largest, count, compared = np.maximum(largest, found), count + len(batch), compared + int(chosen.sum())
            if not (found[0] <= tolerance.box and found[1] <= tolerance.score):
                raise InputError(
                    f'the ONNX file differs from PyTorch on {name}: boxes by {found[0]:.3g} px (at most '
                    f'{tolerance.box:g}), scores by {found[1]:.3g} (at most {tolerance.score:g}); nothing was written'
                    + ('; leave out --half' if half else '')
                )
            if limits and (fault := suppression_fault(whole.run(None, {'images': batch}), boxes, scores, limits)):
                raise InputError(f'the suppression of the ONNX file is wrong on {name}: {fault}; nothing was written')
    finally:
        detector.train(training)
    return (
        f'checked with onnxruntime against PyTorch on {count} images: {compared} boxes within {largest[0]:.2g} px, '
        f'all scores within {largest[1]:.2g}'
    )


@torch.no_grad()
def in_pytorch(detector: nn.Module, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The detector's box ``(B, P, 4)`` and score ``(B, P)`` of every prior in BGR images ``(B, H, W, 3)``."""
    detector = getattr(detector, 'detector', detector)
    inputs = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in batch]
    x = detector.data_preprocessor(dict(inputs=inputs, data_samples=None))['inputs']
    classes, deltas = detector.bbox_head(detector.extract_feat(x))
    head = detector.bbox_head.second_shot
    sizes = [tuple(level.shape[-2:]) for level in deltas]
    priors = torch.cat(head.prior_generator.grid_priors(sizes, device=x.device))
    scores = torch.cat([level.flatten(2) for level in classes], dim=2).softmax(dim=1)[:, 0]
    flat = torch.cat([level.flatten(2) for level in deltas], dim=2).transpose(1, 2)
    boxes = torch.stack([head.bbox_coder.decode(priors, own, batch.shape[1:3]) for own in flat])
    return boxes.cpu().numpy(), scores.cpu().numpy()


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
