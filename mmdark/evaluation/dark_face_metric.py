"""DARK FACE's official number as an MMEngine metric."""

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

    A warning, once, names a difference of more than 0.01. The faces are those of the data set; the protocol ignores
    none, so ignored faces count, too. An image's name is its file name without extension. ``outfile_prefix`` is the
    submission to write; ``.zip`` is added where it is missing. Other arguments are those of :class:`FaceMetric`.
    """

    default_prefix = 'dark_face'

    @property
    def needs_annotation(self) -> bool:
        """Always."""
        return True

    def name_of(self, img_path: str) -> str:
        """The file's name without extension."""
        return PurePath(img_path).stem

    def write(self, detections: Mapping[str, np.ndarray]) -> None:
        """Write a submission."""
        path = str(self.outfile_prefix)
        write_dark_face_zip(path if path.endswith('.zip') else f'{path}.zip', detections)

    def evaluate_images(self, images: Sequence[TestedImage]) -> dict[str, float]:
        """Both numbers; NaN where no image has a face."""
        faces = {image.name: np.concatenate([image.faces, image.ignored]) for image in images}
        score = evaluate_dark_face(self.by_name(images), faces)
        self.warn_if_empty(score.num_faces)
        self.compare({'AP': score})
        return {'AP': score.official.average_precision, 'exact_AP': score.exact.average_precision}
