"""The crop of PyramidBox and DSFD where data-anchor-sampling is not drawn: one of five squares that hold a face."""

import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS

from mmdark.datasets.transforms.face_crop import FaceCrop
from mmdark.datasets.transforms.face_geometry import (
    centers_inside,
    face_boxes,
    ignored_flags,
    reach_into,
    record_homography,
    select_faces,
)

_TRIES = 50

Window = tuple[int, int, int, int]


@TRANSFORMS.register_module()
class RandomSquareCrop(FaceCrop):
    """Cut out one of up to five random squares, each containing at least one face completely.

    The side is the image's short side for the first candidate and that times U(min_scale, 1) for the others; each has
    50 tries to contain a face. Without a candidate, the whole image is kept, which may not be square. Faces
    whose centre is inside and ignored boxes that overlap the square are kept and not clipped. A resize must follow.

    Args:
        min_scale: minimum side as a fraction of the short side.
        num_candidates: maximum number of candidate squares.

    Required keys: ``img``, ``gt_bboxes``. Modified keys: ``img``, ``img_shape``, the faces, ``homography_matrix``.
    Returns ``None`` (mmengine then draws another random image) if there is no face, except as in :class:`FaceCrop`.
    """

    def __init__(self, min_scale: float = 0.3, num_candidates: int = 5) -> None:
        self.min_scale, self.num_candidates = min_scale, num_candidates

    @cache_randomness
    def _sample(self, faces: np.ndarray, img_shape: tuple[int, int]) -> Window:
        lowest = [1.0] + [self.min_scale] * (self.num_candidates - 1)
        drawn = [self._sample_square(faces, img_shape, low) for low in lowest]
        candidates = [window for window in drawn if window is not None]
        if not candidates:
            return 0, 0, img_shape[1], img_shape[0]
        return candidates[np.random.randint(len(candidates))]  # noqa: NPY002

    def _sample_square(self, faces: np.ndarray, img_shape: tuple[int, int], min_scale: float) -> Window | None:
        """The first of 50 random squares that contains a face, or the first of all if there is no face."""
        short = min(img_shape)
        part, x, y = np.random.uniform(size=(3, _TRIES))  # noqa: NPY002
        sides = np.maximum(np.floor(short * (min_scale + part * (1 - min_scale))), 1)
        corners = np.stack([x * (img_shape[1] - sides + 1), y * (img_shape[0] - sides + 1)], axis=1).astype(int)
        squares = np.concatenate([corners, corners + sides[:, None].astype(int)], axis=1)
        low, high = squares[:, None, :2], squares[:, None, 2:]
        valid = np.flatnonzero(((faces[:, :2] >= low) & (faces[:, 2:] <= high)).all(2).any(1) | (len(faces) == 0))
        return tuple(squares[valid[0]].tolist()) if len(valid) else None

    def _apply(self, results: dict, window: Window) -> dict:
        x1, y1, x2, y2 = window
        boxes, ignored = face_boxes(results), ignored_flags(results)
        select_faces(results, np.where(ignored, reach_into(boxes, window), centers_inside(boxes, window)))
        results['img'] = results['img'][y1:y2, x1:x2]
        results['img_shape'] = results['img'].shape[:2]
        results['gt_bboxes'].translate_((-x1, -y1))
        record_homography(results, 1, (-x1, -y1))
        return results

    def __repr__(self) -> str:
        """The class and its settings."""
        return f'{type(self).__name__}(min_scale={self.min_scale}, num_candidates={self.num_candidates})'
