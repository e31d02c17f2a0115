"""Detect objects on an image: with or without TTA, whole or in tiles; and compute reflectance and illumination."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from mmdet.registry import MODELS, TRANSFORMS
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmdark.apis.image_pipelines import PICTURE_STEPS, view_steps
from mmdark.drawing import tensor_of
from mmdark.engine.trained_model import reflectance_of
from mmdark.errors import InputError
from mmdark.protocols import OwnWeights

from .tiles import GRID, detect_in_tiles, stitch

if TYPE_CHECKING:
    from .onnx_session import OnnxSession

Objects = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes ``(N, 4)``: x1, y1, x2, y2 in pixels, and scores ``(N,)``, both float32; labels ``(N,)``, int64."""
OUT_OF_MEMORY = ('out of memory', 'ailed to allocate memory', "can't allocate memory", 'not enough memory')
PLAUSIBLE = dict(min_inside=0.5, max_nested=0.8)
"""Default arguments of ``MultiScaleTTA`` in inference; values in ``tta_model`` take precedence.

Without them, the AP on a test set is 0.1 points higher because of low-scored boxes. Among the 39,112 faces of the WIDER
FACE validation set, only 22 pairs are nested more deeply.
"""
MOST_PIXELS = 1 << 26
"""Maximum number of pixels of a detector input; sides below :data:`GRID` count as ``GRID``. More needs gigabytes."""
FLAT = 2
"""Maximum difference between pixel values (0 to 255) in an area that counts as a single colour."""
LEFT_OUT = (*PICTURE_STEPS, 'LoadAnnotations')
"""Test pipeline steps that are skipped, because a photograph is already loaded and must not be darkened."""


class Detection:
    """A detector and its test pipeline.

    Args:
        model: a detector in evaluation mode.
        cfg: the config of the detector.
        session: the same detector in ONNX Runtime; if given, it runs instead of ``model``.

    Raises:
        InputError: the config has no test pipeline.
    """

    def __init__(self, model: nn.Module, cfg: Config, session: OnnxSession | None = None) -> None:
        if not cfg.get('test_dataloader'):
            raise InputError(
                f'config {cfg.filename} has no test_dataloader, whose pipeline prepares the images: '
                'take the one that training wrote'
            )
        self.model, self.cfg = model, cfg
        self.computes: nn.Module = session or model
        self.scope = cfg.get('default_scope', 'mmdet')
        self.steps = self._built(get_test_pipeline_cfg(cfg))
        self.several_views: nn.Module | None = None
        self.view_steps = Compose([])

    def prepare_views(self) -> None:
        """Build the pipeline and the model for test-time augmentation; raise an InputError if the config has none."""
        if self.several_views is None:
            self.view_steps = self._built(view_steps(self.cfg))
            with DefaultScope.overwrite_default_scope(self.scope):
                merging = copy.deepcopy(self.cfg.tta_model)
                if merging['type'] == 'MultiScaleTTA':
                    merging = {**PLAUSIBLE, **merging}
                self.several_views = MODELS.build({**merging, 'module': self.computes}).eval()

    def _built(self, pipeline: Sequence[ConfigDict]) -> Compose:
        with DefaultScope.overwrite_default_scope(self.scope):
            steps = [copy.deepcopy(step) for step in pipeline if step['type'] not in LEFT_OUT]
            return Compose([TRANSFORMS.build(step) for step in steps])

    def detect_each(self, images: Sequence[np.ndarray], tta: bool = False) -> list[Objects | InputError]:
        """Detect the objects of each image, ``(H, W, 3)`` BGR uint8; an image that fails gives its InputError.

        Only images of the same size share a batch, because other images would be padded to the largest.
        """
        found: dict[int, Objects | InputError] = {}
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            groups.setdefault((index,) if tta else image.shape, []).append(index)
        for indices in groups.values():
            for index, one in zip(indices, self._group([images[index] for index in indices], tta), strict=True):
                found[index] = one
        return [found[index] for index in range(len(images))]

    def _group(self, images: list[np.ndarray], tta: bool) -> list[Objects | InputError]:
        try:
            return list(self.detect(images, tta))
        except InputError as error:
            if len(images) == 1:
                return [error]
        return [found for image in images for found in self._group([image], tta)]

    @torch.no_grad()
    def detect(self, images: Sequence[np.ndarray], tta: bool = False) -> list[Objects]:
        """Detect the objects of images of the same size (with ``tta``, of a single image), highest scores first.

        Raises:
            InputError: there is not enough memory, or an image exceeds :data:`MOST_PIXELS`.
        """
        with _enough_memory(images[0]):
            found = self._detect(images, tta)
        return [_clipped(*one, image) for one, image in zip(found, images, strict=True)]

    def _detect(self, images: Sequence[np.ndarray], tta: bool) -> list[Objects]:
        steps, model = (self.view_steps, self.several_views) if tta else (self.steps, self.computes)
        sizes = [image.shape[:2] for image in images]
        items = [  # with the keys that the loading steps of a pipeline would set
            steps(dict(img=image, img_path='', img_id=0, img_shape=size, ori_shape=size))
            for image, size in zip(images, sizes, strict=True)
        ]
        for views in (item['inputs'] for item in items):
            for view in [views] if isinstance(views, Tensor) else views:
                _check_size(*view.shape[-2:])
        found = [sample.pred_instances for sample in model.test_step(pseudo_collate(items))]
        return [
            (
                one.bboxes.float().cpu().numpy().reshape(-1, 4),
                one.scores.float().cpu().numpy(),
                one.labels.cpu().numpy(),
            )
            for one in found
        ]

    def detect_tiled(self, image: np.ndarray, tile: int, batch_size: int, tta: bool = False) -> Objects:
        """Detect the objects of a large image; see :func:`detect_in_tiles`."""

        def detect(tiles: list[np.ndarray]) -> list[Objects]:
            found = self.detect_each(tiles, tta)
            for one in found:
                if isinstance(one, InputError):
                    raise one
            return found

        return detect_in_tiles(image, detect, tile, batch_size)

    def check_teacher(self, for_what: str) -> None:
        """Reject a model without a Retinex teacher; for ``'illumination'``, load the teacher's weights if needed."""
        teacher = getattr(self.model, 'enhancer', None)
        if teacher is None:
            raise InputError(
                f'this {type(self.model).__name__} was built without a Retinex teacher, so it has no {for_what}: '
                f'leave out with_{for_what}, or take a model such as dsfd_dark_wider'
            )
        if for_what == 'illumination' and isinstance(teacher, OwnWeights) and teacher.needs_weights:
            teacher.init_weights()
            teacher.needs_weights = False

    def reflectance(self, image: np.ndarray, tile: int | None = None) -> np.ndarray:
        """Output of the reflectance decoder: ``(H, W, 3)`` BGR uint8."""
        with _enough_memory(image):
            return stitch(image, lambda seen: reflectance_of(self.model, tensor_of(seen)), tile)

    def illumination(self, image: np.ndarray, tile: int | None = None) -> np.ndarray:
        """Illumination computed by the Retinex teacher: ``(H, W)`` float32 in [0, 1]."""
        device = next(self.model.parameters()).device

        @torch.no_grad()
        def look(seen: np.ndarray) -> np.ndarray:
            illumination = self.model.enhancer(tensor_of(seen)[None].to(device)).illumination
            return illumination[0, 0].float().clamp(0, 1).cpu().numpy()

        with _enough_memory(image):
            return stitch(image, look, tile)


@contextmanager
def _enough_memory(image: np.ndarray) -> Iterator[None]:
    """Convert torch's out-of-memory errors, on CPU or GPU, to an InputError."""
    try:
        yield
    except RuntimeError as error:
        if not any(sign in str(error) for sign in OUT_OF_MEMORY):
            raise
        height, width = image.shape[:2]
        raise InputError(
            f'too large for the memory ({width} x {height} pixels at a time): look at it in smaller tiles (tile=640)'
        ) from None


def _check_size(height: int, width: int) -> None:
    """Reject a prepared image or view that exceeds :data:`MOST_PIXELS`."""
    if max(height, GRID) * max(width, GRID) > MOST_PIXELS:
        raise InputError(
            f'too large to be looked at in one piece ({width} x {height} pixels; {MOST_PIXELS >> 20} million are '
            f"the most, sides below {GRID} counted as {GRID}): look at it in tiles (tile='auto')"
        )


def _clipped(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, image: np.ndarray) -> Objects:
    """Clip the boxes to the image and sort them by score; drop boxes without area or of a single colour."""
    height, width = image.shape[:2]
    boxes = np.clip(boxes, 0, np.array([width, height] * 2, np.float32))
    order = np.argsort(-scores, kind='stable')
    order = order[(boxes[order, 2:] > boxes[order, :2]).all(axis=1)]
    order = order[[_shows_something(image, box) for box in boxes[order]]]
    return boxes[order], scores[order], labels[order]


def _shows_something(image: np.ndarray, box: np.ndarray) -> bool:
    """Whether the pixels in a box differ by more than :data:`FLAT`; detectors also return boxes on uniform areas."""
    (x1, y1), (x2, y2) = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    part = image[y1:y2, x1:x2]
    some = part[:: max(1, len(part) // 8), :: max(1, part.shape[1] // 8)]
    return any((seen.max(axis=(0, 1)) - seen.min(axis=(0, 1))).max() > FLAT for seen in (some, part))
