"""DARK FACE's official AP as an MMEngine metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np
from mmdet.registry import METRICS

from .dark_face_protocol import evaluate_dark_face
from .face_metric import FaceMetric, TestedImage
from .prediction_files import write_dark_face_zip


@METRICS.register_module()
class DarkFaceMetric(FaceMetric):
    """Official and exact AP on DARK FACE, called ``AP`` and ``exact_AP``.

    Warns once if the two differ by more than 0.01. The official protocol has no ignored faces, so faces that the data
    set marks as ignored count as well. Images are named by their file name without extension. ``outfile_prefix`` is the
    path of the submission; ``.zip`` is appended if missing. Other arguments are those of :class:`FaceMetric`.
    """

    default_prefix = 'dark_face'

    @property
    def needs_annotation(self) -> bool:
        """Always True: the faces come from the data set."""
        return True

    def name_of(self, img_path: str) -> str:
        """The file's name without extension."""
        return PurePath(img_path).stem

    def write(self, detections: Mapping[str, np.ndarray]) -> None:
        """Write the submission zip."""
        path = str(self.outfile_prefix)
        write_dark_face_zip(path if path.endswith('.zip') else f'{path}.zip', detections)

    def evaluate_images(self, images: Sequence[TestedImage]) -> dict[str, float]:
        """Official and exact AP; NaN if no image has a face."""
        faces = {image.name: np.concatenate([image.faces, image.ignored]) for image in images}
        score = evaluate_dark_face(self.by_name(images), faces)
        self.warn_if_empty(score.num_faces)
        self.compare({'AP': score})
        return {'AP': score.official.average_precision, 'exact_AP': score.exact.average_precision}
