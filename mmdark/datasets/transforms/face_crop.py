"""Base class of both crops: a window is sampled for the faces of an image, then applied."""

from abc import abstractmethod
from typing import Any

from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import autocast_box_type

from mmdark.datasets.transforms.face_geometry import is_kept_empty, learnable_faces


class FaceCrop(BaseTransform):
    """A crop around faces; returns ``None`` (mmengine then draws another random image) if there is no face.

    An image that its data set keeps without faces (``filter_empty_gt=False``) is cropped at a random position.

    Derived classes also define ``_sample(faces, img_shape)``, which draws a window for faces of shape ``(N, 4)``, or at
    a random position if N is 0. It is not abstract here because mmcv's ``cache_randomness`` rejects abstract methods.
    """

    @autocast_box_type()
    def transform(self, results: dict) -> dict | None:
        """Sample a window and apply it."""
        faces, kept_empty = learnable_faces(results), is_kept_empty(results)
        if len(faces) == 0 and not kept_empty:
            return None
        results = self._apply(results, self._sample(faces, results['img'].shape[:2]))
        return results if kept_empty or len(learnable_faces(results)) else None

    @abstractmethod
    def _apply(self, results: dict, window: Any) -> dict:
        """Crop the window and keep the faces inside it."""
