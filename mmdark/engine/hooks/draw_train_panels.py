"""Draw training batches with predictions and ground truth."""

from __future__ import annotations

import cv2
import numpy as np
from mmdet.registry import HOOKS
from mmdet.structures import DetDataSample
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdark.drawing import GREEN, MAGENTA, WHITE, Title, brighten, draw_faces, join_panels, pixels_of

from ..trained_model import detector_of, reflectance_of, undisturbed


@HOOKS.register_module()
class DrawTrainPanels(Hook):
    """Every ``interval`` iterations, add a picture of the training batch to the visualizer.

    A row shows light | dark | reflectance | faces: the two network inputs, the reflectance decoded from the dark input
    (omitted if the model has no decoder), and predictions and ground truth on the brightened dark image. For a detector
    trained on daylight images only, a row shows light | faces. The picture is saved as
    ``vis_data/vis_image/train_panels_ITERATION.png`` and, if enabled, in TensorBoard. The model, the modes of its
    modules and torch's random states do not change.

    Args:
        interval: number of iterations between pictures; the published script draws every 500.
        num_images: number of rows, one for each of the first images of the batch.
        score_thr: minimum score of the predictions that are drawn.
        height: height of a panel in pixels.
        teacher: also show the teacher's reflectance of the dark image.
    """

    priority = 'LOW'

    def __init__(
        self,
        interval: int = 500,
        num_images: int = 1,
        score_thr: float = 0.3,
        height: int = 480,
        teacher: bool = False,
    ) -> None:
        self.interval = interval
        self.num_images = num_images
        self.score_thr = score_thr
        self.height = height
        self.teacher = teacher

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict | None = None) -> None:
        """Draw the batch in the main process."""
        if not (self.every_n_train_iters(runner, self.interval) and is_main_process()):
            return
        model, count = detector_of(runner), self.num_images
        inputs = data_batch['inputs']
        first = {key: value[:count] for key, value in inputs.items()} if isinstance(inputs, dict) else inputs[:count]
        with undisturbed(model):
            raw = dict(inputs=first, data_samples=data_batch['data_samples'][:count])
            batch = model.data_preprocessor(raw, training=True)
            rows = self._rows(model, batch['inputs'], batch['data_samples'])
        picture = np.ascontiguousarray(np.vstack(rows)[..., ::-1])
        runner.visualizer.add_image('train_panels', picture, step=runner.iter + 1)

    def _rows(self, model: nn.Module, inputs: dict[str, Tensor] | Tensor, samples: list[DetDataSample]) -> list:
        """One row of panels per image, ``(H, W, 3)`` BGR uint8."""
        light, dark = (inputs['light'], inputs['dark']) if isinstance(inputs, dict) else (inputs, None)
        images = light if dark is None else model.data_preprocessor.from_unit(dark)
        results = model.predict(images, [sample.clone() for sample in samples], rescale=False)
        rows = []
        for index, (sample, result) in enumerate(zip(samples, results, strict=True)):
            panels = [('light', pixels_of(light[index]))]
            if dark is not None:
                panels += [('dark', pixels_of(dark[index])), *self._reflectances(model, dark[index])]
            image = pixels_of(light[index]) if dark is None else brighten(pixels_of(dark[index]))
            panels.append(self._faces(image, sample, result, 'light' if dark is None else 'dark, brightened'))
            rows.append(join_panels([(title, self._scaled(panel)) for title, panel in panels]))
        return rows

    def _reflectances(self, model: nn.Module, dark: Tensor) -> list[tuple[str, np.ndarray]]:
        panels = [('reflectance', reflectance_of(model, dark))]
        if self.teacher and getattr(model, 'enhancer', None) is not None:
            panels.append(("teacher's reflectance", pixels_of(model.enhancer(dark[None]).reflectance[0])))
        return [(title, panel) for title, panel in panels if panel is not None]

    def _faces(
        self, image: np.ndarray, sample: DetDataSample, result: DetDataSample, what: str
    ) -> tuple[Title, np.ndarray]:
        """Panel with ground truth and predictions, drawn after the image is resized so that lines stay thin."""
        scale = self.height / image.shape[0]
        truth = sample.gt_instances.bboxes.cpu().numpy() * scale
        predicted = result.pred_instances
        predicted = predicted[predicted.scores >= self.score_thr].cpu().numpy()
        boxes = predicted.bboxes * scale
        drawn = draw_faces(self._scaled(image), boxes, predicted.scores, truth=truth, caption=False)
        threshold = (f'predictions >= {self.score_thr:g}', GREEN)
        return [(f'{what}: ', WHITE), threshold, (', ', WHITE), ('ground truth', MAGENTA)], drawn

    def _scaled(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        if height == self.height:
            return image
        way = cv2.INTER_AREA if height > self.height else cv2.INTER_NEAREST
        return cv2.resize(image, (round(width * self.height / height), self.height), interpolation=way)
