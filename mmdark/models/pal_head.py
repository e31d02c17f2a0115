"""The progressive anchor loss heads of DSFD (arXiv:1810.10220, section 3.3): one head a shot, and their pair."""

from __future__ import annotations

import torch
from mmdet.models.dense_heads import SSDHead
from mmdet.models.task_modules.prior_generators import anchor_inside_flags
from mmdet.models.utils import rename_loss_dict
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, InstanceList, OptConfigType, OptMultiConfig, reduce_mean
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor

Maps = tuple[Tensor, ...]


@MODELS.register_module()
class PALHead(SSDHead):
    """One shot: one square anchor a cell, smooth-L1 and cross entropy with 3:1 hard negatives.

    Matching (``train_cfg.assigner``) and mining are mmdet's; five things are not: boxes are matched in fractions of the
    image, the losses are divided by the number of positives in the batch (the batch size if there is none), in training
    over all processes, ``nms_pre`` counts over all levels, what follows the convolutions is computed in float32, and
    ``predict`` works although SSDHead never sets ``loss_cls`` (mmdetection#11780).
    """

    loss_cls = None

    def get_targets(self, *args: object, **kwargs: object) -> tuple:
        """SSDHead's targets with the published normaliser; mmdet counts at least one positive an image.

        In training, the normaliser is the mean over the processes, as are the gradients: together that is the sum of
        all losses over the number of all positives, whatever the number of processes. In eval mode each process counts
        for itself.
        """
        *targets, _ = super().get_targets(*args, **kwargs)
        labels = torch.cat(targets[0], dim=1)
        positives = (labels < self.num_classes).sum(dtype=torch.float32)
        if self.training:
            positives = reduce_mean(positives)
        return (*targets, torch.where(positives > 0, positives, labels.shape[0]))

    def loss_by_feat(self, cls_scores: list[Tensor], bbox_preds: list[Tensor], *args: object, **kwargs: object) -> dict:
        """SSDHead's losses, in float32 under autocast, too."""
        with torch.autocast(cls_scores[0].device.type, enabled=False):
            return super().loss_by_feat(_float32(cls_scores), _float32(bbox_preds), *args, **kwargs)

    def predict_by_feat(
        self, cls_scores: list[Tensor], bbox_preds: list[Tensor], *args: object, **kwargs: object
    ) -> InstanceList:
        """SSDHead's detections, in float32 under autocast, too."""
        with torch.autocast(cls_scores[0].device.type, enabled=False):
            return super().predict_by_feat(_float32(cls_scores), _float32(bbox_preds), *args, **kwargs)

    def _get_targets_single(
        self,
        flat_anchors: Tensor,
        valid_flags: Tensor,
        gt_instances: InstanceData,
        img_meta: dict,
        gt_instances_ignore: InstanceData | None = None,
        unmap_outputs: bool = True,
    ) -> tuple:
        """SSDHead's targets, matched in fractions of the image: which one of equal overlaps wins is left to rounding.

        A face that several priors hold entirely overlaps each of them equally. Targets are ratios and stay the same.
        """
        height, width = img_meta['img_shape'][:2]
        valid_flags = anchor_inside_flags(flat_anchors, valid_flags, (height, width), self.train_cfg['allowed_border'])
        size = flat_anchors.new_tensor([width, height, width, height])
        centres, sides = (flat_anchors[:, :2] + flat_anchors[:, 2:]) / 2, flat_anchors[:, 2:] - flat_anchors[:, :2]
        centres, halves = centres / size[:2], sides / size[:2] / 2
        return super()._get_targets_single(
            torch.cat([centres - halves, centres + halves], dim=1),
            valid_flags,
            _in_fractions(gt_instances, size),
            {**img_meta, 'img_shape': (1, 1)},
            gt_instances_ignore and _in_fractions(gt_instances_ignore, size),
            unmap_outputs,
        )

    def _bbox_post_process(self, results: InstanceData, cfg: ConfigType, **kwargs: object) -> InstanceData:
        """Keep the ``nms_pre`` best of all levels before the suppression."""
        if 0 < cfg.get('nms_pre', -1) < len(results):
            results = results[results.scores.topk(cfg['nms_pre']).indices]
        return super()._bbox_post_process(results=results, cfg=cfg, **kwargs)


def _float32(maps: list[Tensor]) -> list[Tensor]:
    return [level.float() for level in maps]


def _in_fractions(instances: InstanceData, size: Tensor) -> InstanceData:
    """The same instances with boxes in fractions of the image."""
    fractions = instances.new()
    fractions.bboxes = (instances.bboxes / size).to(size.dtype)
    return fractions


@MODELS.register_module()
class DualShotHead(BaseModule):
    """PAL-1 on the original maps and PAL-2 on the enhanced maps in training; PAL-2 alone in testing.

    Args:
        first_shot: config of the PAL-1 head.
        second_shot: config of the PAL-2 head.
        train_cfg: given to both heads.
        test_cfg: given to both heads.
        init_cfg: see mmengine.
    """

    def __init__(
        self,
        first_shot: ConfigType,
        second_shot: ConfigType,
        train_cfg: OptConfigType = None,
        test_cfg: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        shared = dict(train_cfg=train_cfg, test_cfg=test_cfg)
        self.first_shot = MODELS.build({**first_shot, **shared})
        self.second_shot = MODELS.build({**second_shot, **shared})

    def forward(self, shots: tuple[Maps, Maps]) -> tuple[list[Tensor], list[Tensor]]:
        """(original, enhanced) maps to the second shot's (class scores, box deltas), a list entry a level."""
        return self.second_shot(shots[1])

    def loss(self, shots: tuple[Maps, Maps], batch_data_samples: SampleList) -> dict:
        """Losses of both shots, prefixed ``pal1_`` and ``pal2_``."""
        original, enhanced = shots
        return {
            **rename_loss_dict('pal1_', self.first_shot.loss(original, batch_data_samples)),
            **rename_loss_dict('pal2_', self.second_shot.loss(enhanced, batch_data_samples)),
        }

    def predict(self, shots: tuple[Maps, Maps], batch_data_samples: SampleList, rescale: bool = False) -> InstanceList:
        """Faces found by the second shot; boxes in pixels of the original image if ``rescale``."""
        return self.second_shot.predict(shots[1], batch_data_samples, rescale=rescale)
