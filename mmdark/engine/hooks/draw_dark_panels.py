"""Draw what the detector saw and found: light | dark | reflectance | detections."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdark.errors import InputError

from .strict_checkpoint import detector_of

GREEN = (80, 220, 80)
HEADER = 28
GAP = 4
MIN_HEIGHT = 360
"""Smaller images are drawn enlarged by a whole number, so that titles and scores can be read."""


def brighten(image: np.ndarray) -> np.ndarray:
    """Stretch an ``(H, W, 3)`` image so that its 99th percentile is white, for a person to see; uint8."""
    white = max(float(np.percentile(image, 99)), 1.0)
    return np.clip(image * (255.0 / white), 0, 255).astype(np.uint8)


def draw_detections(image: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Boxes and scores on a copy of an ``(H, W, 3)`` uint8 image; lines thin out where faces are small.

    Boxes that reach beyond the image are framed along its border.
    """
    drawn = image.copy()
    border = np.array(image.shape[1::-1] * 2) - 1
    for (x1, y1, x2, y2), score in zip(np.clip(boxes, 0, border), scores, strict=True):
        side = min(x2 - x1, y2 - y1)
        corner = (round(float(x1)), round(float(y1)))
        cv2.rectangle(drawn, corner, (round(float(x2)), round(float(y2))), GREEN, 1 if side < 40 else 2)
        (text_width, text_height), _ = cv2.getTextSize(f'{score:.2f}', cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
        top = corner[1] - text_height - 4 if corner[1] > text_height + 4 else corner[1]
        cv2.rectangle(drawn, (corner[0], top), (corner[0] + text_width + 4, top + text_height + 4), GREEN, -1)
        place = (corner[0] + 2, top + text_height + 2)
        cv2.putText(drawn, f'{score:.2f}', place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return drawn


def join_panels(panels: dict[str, np.ndarray]) -> np.ndarray:
    """Images of equal size beside each other, each under its title."""
    height = next(iter(panels.values())).shape[0]
    columns = []
    for title, image in panels.items():
        header = np.full((HEADER, image.shape[1], 3), 32, np.uint8)
        cv2.putText(header, title, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        columns += [np.vstack([header, image]), np.full((height + HEADER, GAP, 3), 255, np.uint8)]
    return np.hstack(columns[:-1])


@HOOKS.register_module()
class DrawDarkPanels(Hook):
    """Write a PNG for each tested image: light | dark | reflectance | detections with scores.

    Light is the image file, dark what the detector was given, reflectance what its decoder makes of that (left out
    where the model has none); detections are drawn on the dark image, brightened for the person who looks.

    Args:
        out_dir: folder of the PNGs, named after the images.
        score_thr: detections below it are not drawn.
        max_images: stop drawing after so many; None draws all.
    """

    def __init__(self, out_dir: str, score_thr: float = 0.3, max_images: int | None = None) -> None:
        self.out_dir = Path(out_dir)
        self.score_thr = score_thr
        self.max_images = max_images
        self.names: set[str] = set()

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: list) -> None:
        """Draw the images of one batch.

        Raises:
            InputError: a picture cannot be written.
        """
        model, images = detector_of(runner), data_batch['inputs']
        if isinstance(images[0], (list, tuple)):  # test-time augmentation: the first view of each image
            images = [
                view.flip(-1) if sample.get('flip') else view for view, sample in zip(images[0], outputs, strict=True)
            ]
        for inputs, sample in zip(images, outputs, strict=True):
            if self.max_images is not None and len(self.names) >= self.max_images:
                return
            path = self._free_path(Path(sample.img_path).stem)
            picture = self._panels(model, inputs, sample)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                written = cv2.imwrite(str(path), picture)
            except OSError:
                written = False
            if not written:
                raise InputError(f'{path} cannot be written; is the disk full, or its folder read-only or a file?')

    def _free_path(self, stem: str) -> Path:
        """A data set may hold the same name twice, by day and in the dark."""
        name, number = stem, 1
        while name in self.names:
            number += 1
            name = f'{stem}-{number}'
        self.names.add(name)
        return self.out_dir / f'{name}.png'

    def _panels(self, model: nn.Module, inputs: Tensor, sample: object) -> np.ndarray:
        """``inputs``: what went into the preprocessor, ``(3, H, W)`` BGR on the 0-255 scale."""
        enlarge = -(-MIN_HEIGHT // sample.ori_shape[0])
        height, width = (side * enlarge for side in sample.ori_shape)
        dark = cv2.resize(inputs.permute(1, 2, 0).float().numpy(), (width, height), interpolation=cv2.INTER_NEAREST)
        light = cv2.resize(cv2.imread(sample.img_path, cv2.IMREAD_COLOR), (width, height))
        panels = {'light': light, 'dark': np.clip(dark, 0, 255).astype(np.uint8)}
        if getattr(model, 'enhancer', None) is not None:
            panels['reflectance'] = cv2.resize(self._reflectance(model, inputs), (width, height))
        found = sample.pred_instances
        found = found[found.scores >= self.score_thr].cpu().numpy()
        panels[f'detections (dark brightened), score >= {self.score_thr:g}'] = draw_detections(
            brighten(dark), found.bboxes * enlarge, found.scores
        )
        return join_panels(panels)

    @staticmethod
    def _reflectance(model: nn.Module, inputs: Tensor) -> np.ndarray:
        """The decoder's reflectance as a BGR uint8 image."""
        rgb = inputs.flip(0)[None].float().to(next(model.parameters()).device) / 255.0
        with torch.no_grad():
            reflectance = model.reflectance(rgb)[0].flip(0)
        return (reflectance.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)
