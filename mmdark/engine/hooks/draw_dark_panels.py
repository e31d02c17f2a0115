"""Hook that draws test results: light | dark | reflectance | detections."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from mmdet.registry import HOOKS
from mmdet.structures import DetDataSample
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdark.drawing import FACE, brighten, draw_faces, join_panels
from mmdark.whole_file import write_whole

from ..trained_model import detector_of, reflectance_of

MIN_HEIGHT = 360
"""Smaller images are enlarged by an integer factor, so that titles and scores are readable."""


@HOOKS.register_module()
class DrawDarkPanels(Hook):
    """Write a PNG for each tested image: light | dark | reflectance | detections with scores.

    Light is the image file, dark is the detector's input, and reflectance is the decoder's output (omitted if the model
    has no decoder). Detections are drawn on the brightened dark image. With ``DefaultSampler``, several processes write
    the same files as a single process.

    Args:
        out_dir: folder for the PNGs, which are named after the images.
        score_thr: minimum score of the drawn detections.
        max_images: number of images to draw; None draws all.
    """

    def __init__(self, out_dir: str, score_thr: float = 0.3, max_images: int | None = None) -> None:
        self.out_dir = Path(out_dir)
        self.score_thr = score_thr
        self.max_images = max_images
        self.names: set[str] = set()
        self.class_names = FACE
        self.seen = 0

    def before_test_epoch(self, runner: Runner) -> None:
        """Reset the image counter and read the class names."""
        self.names.clear()
        self.seen = 0
        meta = runner.test_dataloader.dataset.metainfo  # a list if concatenated data sets differ
        self.class_names = tuple((meta[0] if isinstance(meta, list) else meta).get('classes', FACE))

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
        rank, world = get_dist_info()
        for inputs, sample in zip(images, outputs, strict=True):
            index = self.seen * world + rank
            self.seen += 1
            if self.max_images is not None and index >= self.max_images:
                return
            if world > 1:
                dataset = runner.test_dataloader.dataset
                if index >= len(dataset):  # padding added by the sampler
                    return
                for other in range(len(self.names), index):  # reserve the names used by other processes
                    self._free_name(dataset.get_data_info(other)['img_path'])
            path = self.out_dir / f'{self._free_name(sample.img_path)}.png'
            write_whole(path, cv2.imencode('.png', self._panels(model, inputs, sample))[1].tobytes())

    def _free_name(self, img_path: str) -> str:
        """Unique name for the next image; a data set may contain a file name twice (a day and a dark version)."""
        stem = name = Path(img_path).stem
        number = 1
        while name in self.names:
            number += 1
            name = f'{stem}-{number}'
        self.names.add(name)
        return name

    def _panels(self, model: nn.Module, inputs: Tensor, sample: DetDataSample) -> np.ndarray:
        """The joined panels, ``(H, W, 3)`` BGR uint8, from the preprocessor's input, ``(3, H, W)`` BGR in [0, 255]."""
        enlarge = -(-MIN_HEIGHT // sample.ori_shape[0])
        height, width = (side * enlarge for side in sample.ori_shape)
        dark = cv2.resize(inputs.permute(1, 2, 0).float().numpy(), (width, height), interpolation=cv2.INTER_NEAREST)
        light = cv2.resize(cv2.imread(sample.img_path, cv2.IMREAD_COLOR), (width, height))
        panels = [('light', light), ('dark', np.clip(dark, 0, 255).astype(np.uint8))]
        reflectance = reflectance_of(model, inputs.flip(0).float() / 255.0)
        if reflectance is not None:
            panels.append(('reflectance', cv2.resize(reflectance, (width, height))))
        faces = sample.pred_instances
        faces = faces[faces.scores >= self.score_thr].cpu().numpy()
        drawn = draw_faces(
            brighten(dark),
            faces.bboxes * enlarge,
            faces.scores,
            classes=faces.get('labels'),
            class_names=self.class_names,
        )
        return join_panels([*panels, (f'detections (dark brightened), score >= {self.score_thr:g}', drawn)])
