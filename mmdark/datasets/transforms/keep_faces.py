"""Drop faces that cannot be learned: not finite, of no size, outside the image, or too small."""

from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import autocast_box_type

from mmdark.datasets.transforms.face_geometry import face_boxes, ignored_flags, is_kept_empty, reach_into, select_faces


@TRANSFORMS.register_module()
class KeepFaces(BaseTransform):
    """Keep the faces that are finite, of positive size and at least partly in the image.

    Labels and ignore flags are filtered with the boxes. Results without ``gt_bboxes`` pass unchanged.

    Args:
        min_size: minimum width and height in pixels, after clipping; ignored faces are kept.
        clip: clip the boxes to the image.
        allow_empty: whether an image may have no faces left; if not, ``transform`` returns None and mmengine draws
            another random image in training. Ignored faces do not count. Images that the data set keeps without faces
            (``filter_empty_gt=False``) are always allowed.
    """

    def __init__(self, min_size: float = 0, clip: bool = False, allow_empty: bool = True) -> None:
        self.min_size, self.clip, self.allow_empty = min_size, clip, allow_empty

    @autocast_box_type()
    def transform(self, results: dict) -> dict | None:
        """Filter ``gt_bboxes`` and what belongs to them."""
        if 'gt_bboxes' not in results:
            return results
        height, width = results['img'].shape[:2]
        select_faces(results, reach_into(face_boxes(results), (0, 0, width, height)))
        if self.clip:
            results['gt_bboxes'].clip_((height, width))
        boxes = face_boxes(results)
        select_faces(results, (boxes[:, 2:] - boxes[:, :2] >= self.min_size).all(1) | ignored_flags(results))
        if not self.allow_empty and ignored_flags(results).all() and not is_kept_empty(results):
            return None
        return results

    def __repr__(self) -> str:
        """The class and its settings."""
        return f'{type(self).__name__}(min_size={self.min_size}, clip={self.clip}, allow_empty={self.allow_empty})'
