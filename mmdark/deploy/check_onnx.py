"""Compare an ONNX file with the detector that it was exported from."""

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

from .dense_boxes import reader_of
from .detector_graph import dense_head, every_prior, within
from .onnx_packages import onnx_package

BEST = 100
"""Minimum number of highest-scored boxes that are compared per image, regardless of their scores."""
SIZES = ((224, 160), (150, 261), (97, 131))
"""Heights and widths of the generated images."""


class Tolerance(NamedTuple):
    """Maximum difference from PyTorch in float32, of a coordinate (pixels) and of a score."""

    box: float
    score: float


FULL = Tolerance(0.5, 1e-3)
HALF = Tolerance(2.0, 0.02)


def check_onnx(
    detector: nn.Module,
    priors: bytes,
    score_thr: float = 0.05,
    half: bool = False,
    size: tuple[int, int] | None = None,
    images: Iterable[str | os.PathLike] = (),
) -> str:
    """Run an ONNX model and its detector on the same images.

    The scores of all priors are compared, and the boxes of those that can become detections. Priors are compared
    because detections can differ if two overlapping boxes have equal scores.

    Args:
        detector: the PyTorch detector, float32.
        priors: the ONNX model without NMS.
        score_thr: score threshold of the detections.
        half: whether the file computes in float16, which needs a larger tolerance.
        size: height and width of the input if they are fixed; None if any size works.
        images: paths of images; if empty, images are generated.

    Returns:
        A line with the largest differences.

    Raises:
        InputError: an image cannot be read, or a difference is larger than tolerated.
    """
    tolerance = HALF if half else FULL
    session = onnx_package('onnxruntime').InferenceSession(priors, providers=['CPUExecutionProvider'])
    largest, count, compared = np.zeros(2), 0, 0
    training = detector.training
    detector.eval()
    try:
        for name, batch in _batches(images, size):
            boxes, scores = session.run(None, {'images': batch})
            wanted_boxes, wanted_scores = in_pytorch(detector, batch)
            chosen = _compared(wanted_scores if wanted_scores.ndim == 2 else wanted_scores.max(axis=2), score_thr)
            apart = np.array([abs(boxes - wanted_boxes)[chosen].max(), abs(scores - wanted_scores).max()])
            largest, count, compared = np.maximum(largest, apart), count + len(batch), compared + int(chosen.sum())
            if not (apart <= tolerance).all():
                raise InputError(
                    f'the ONNX file differs from PyTorch on {name}: boxes by {apart[0]:.3g} px (at most '
                    f'{tolerance.box:g}), scores by {apart[1]:.3g} (at most {tolerance.score:g}); nothing was written'
                    + ('; leave out --half' if half else '')
                )
    finally:
        detector.train(training)
    return (
        f'checked with onnxruntime against PyTorch on {count} images: {compared} boxes within {largest[0]:.2g} px, '
        f'all scores within {largest[1]:.2g}'
    )


@torch.no_grad()
def in_pytorch(detector: nn.Module, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The detector's boxes and scores of all priors for BGR images ``(B, H, W, 3)``.

    They come from the detector's own preprocessor, ``extract_feat`` and head.
    """
    detector = getattr(detector, 'detector', detector)
    inputs = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in batch]
    x = detector.data_preprocessor(dict(inputs=inputs, data_samples=None))['inputs']
    head = dense_head(detector)
    levels = reader_of(detector, head)(head, detector.bbox_head(detector.extract_feat(x)))
    boxes, scores = every_prior(within(head, levels, *batch.shape[1:3]))
    return boxes.cpu().numpy(), scores.cpu().numpy()


def _compared(scores: np.ndarray, score_thr: float) -> np.ndarray:
    """Whether each box is compared, bool, ``(B, P)``."""
    place = -min(BEST, scores.shape[1])
    return (scores > score_thr) | (scores >= np.partition(scores, place, axis=1)[:, place, None])


def _batches(paths: Iterable[str | os.PathLike], size: tuple[int, int] | None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and images ``(B, H, W, 3)``: each alone; if the size is free, the first also with its reflections."""
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
    """Generate images of clouds and noise, the same in each call."""
    generator = np.random.default_rng(0)
    for height, width in SIZES:
        clouds = cv2.resize(generator.uniform(0, 255, (6, 8, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
        image = (clouds + generator.normal(0, 12, clouds.shape)).clip(0, 255).astype(np.uint8)
        yield f'the generated image of {width}x{height}', image
