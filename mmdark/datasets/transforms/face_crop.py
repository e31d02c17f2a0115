"""Base class of both crops: a window is sampled for the faces of an image, then applied."""

from abc import abstractmethod
from typing import Any

from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import autocast_box_type

from mmdark.datasets.transforms.face_geometry import is_kept_empty, learnable_faces


class FaceCrop(BaseTransform):
    """A crop aimed at faces; ``None`` (mmengine then takes another random image) where there is no face.

    Of an image that its data set keeps without faces (``filter_empty_gt=False``) a window is taken anywhere.

    Besides ``_apply`` a crop has ``_sample(faces, img_shape)``, which draws a window for faces of shape ``(N, 4)``, or
    anywhere where N is 0. It is not abstract here, because mmcv's ``cache_randomness`` refuses abstract methods.
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
        """Cut the window out of ``results``, with the faces that stay."""
