"""Multi-scale testing: the detections of several views of an image, merged by box voting or NMS."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.ops import nms
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_flip
from mmengine.model import BaseTTAModel
from mmengine.structures import InstanceData
from torch import Tensor

from mmdark.errors import InputError

from .box_voting import box_voting, keeps_size, not_nested, part_inside


@MODELS.register_module()
class MultiScaleTTA(BaseTTAModel):
    """Test a detector on the views of ``MultiScaleViews``, and merge class by class.

    Views go through the detector one after another, so only one is on the device at a time. An image without any
    detection gets empty instances; the published script writes a box of zeros for each view without one.

    Args:
        iou_threshold: IoU threshold of the merge.
        max_per_img: maximum number of boxes of all classes.
        drop_singletons: see :func:`box_voting`; True as published.
        min_inside: minimum fraction of a box that is inside the image; 0 as published. A view smaller than the largest
            anchors may give boxes larger than the image at its borders.
        max_nested: see :func:`not_nested`; 1 as published. One view may detect a part of a face and another its
            surroundings; these boxes overlap too little to be merged by voting.
        merge: ``'voting'`` as published, see :func:`box_voting`; or ``'nms'``, which is better for two views.
        **kwargs: arguments of mmengine's ``BaseTTAModel``, such as ``module``, the detector.
    """

    def __init__(
        self,
        iou_threshold: float = 0.3,
        max_per_img: int = 750,
        drop_singletons: bool = False,
        min_inside: float = 0.0,
        max_nested: float = 1.0,
        merge: str = 'voting',
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        if merge not in ('voting', 'nms'):
            raise ValueError(f"merge={merge!r}: give 'voting' or 'nms'")
        self.merge = merge
        self.iou_threshold = iou_threshold
        self.max_per_img = max_per_img
        self.drop_singletons = drop_singletons
        self.min_inside = min_inside
        self.max_nested = max_nested

    def merge_preds(self, data_samples_list: Sequence[Sequence[DetDataSample]]) -> list[DetDataSample]:
        """Merge the views of each image.

        Args:
            data_samples_list: the views of each image, with boxes in pixels of the original image. Boxes of a flipped
                view are in coordinates of the flipped image.

        Returns:
            For each image the sample of its first view with merged ``pred_instances``, highest score first.
        """
        return [self._merge(views) for views in data_samples_list]

    def _merge(self, views: Sequence[DetDataSample]) -> DetDataSample:
        boxes, scores, labels = (
            torch.cat(parts) for parts in zip(*(self._contribution(view) for view in views), strict=True)
        )
        present = labels.unique() if len(labels) else labels.new_zeros(1)
        merged_boxes = InstanceData.cat(
            [self._merged(boxes[labels == label], scores[labels == label], label) for label in present]
        )
        order = merged_boxes.scores.argsort(descending=True, stable=True)[: self.max_per_img]
        merged = views[0]
        merged.pred_instances = merged_boxes[order]
        return merged

    def _merged(self, boxes: Tensor, scores: Tensor, label: Tensor) -> InstanceData:
        if self.merge == 'voting':
            boxes, scores = box_voting(boxes, scores, self.iou_threshold, self.max_per_img, self.drop_singletons)
        elif len(boxes):
            kept = nms(boxes, scores, self.iou_threshold)[1]
            boxes, scores = boxes[kept], scores[kept]
        kept = not_nested(boxes, self.max_nested)
        boxes, scores = boxes[kept], scores[kept]
        return InstanceData(bboxes=boxes, scores=scores, labels=label.expand(len(boxes)).clone())

    def _contribution(self, view: DetDataSample) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (flipped back), scores and labels of the detections whose size the view keeps.

        Raises:
            InputError: the view has no ``keep``.
        """
        if 'keep' not in view.metainfo:
            raise InputError(
                'tta_pipeline: a view does not say which faces it keeps; make views with MultiScaleViews '
                "and add 'keep' to the meta_keys of PackDetInputs"
            )
        found = view.pred_instances
        boxes = found.bboxes
        if view.metainfo.get('flip'):
            boxes = bbox_flip(boxes, view.ori_shape, view.flip_direction)
        kept = keeps_size(boxes, view.keep) & (part_inside(boxes, *view.ori_shape[:2]) >= self.min_inside)
        return boxes[kept], found.scores[kept], found.labels[kept]
