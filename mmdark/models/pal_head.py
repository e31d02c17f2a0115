"""The progressive anchor loss head of DSFD (arXiv:1810.10220, section 3.3): one shot."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import SSDHead
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, InstanceList, OptInstanceList, reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional as F

from mmdark.errors import InputError

from .prior_cache import PriorCache
from .prior_matching import Matches, encode, match_priors

RULE = dict(min_pos_iou=0, gt_max_assign_all=False, match_low_quality=True, ignore_iof_thr=-1)
"""Settings of ``MaxIoUAssigner`` that describe the only matching rule that :class:`PALHead` supports."""


@MODELS.register_module()
class PALHead(SSDHead):
    """One shot: one square anchor per cell, smooth L1 and cross entropy with 3:1 hard negatives.

    Inputs and outputs are those of mmdet's ``SSDHead``; all images are computed at once, in float32 even under
    autocast. As published, faces are matched in fractions of the image, hard negatives are counted per image, the
    losses are divided by the number of positives in the batch (by the batch size if there are none; in training,
    averaged over all processes), and ``nms_pre`` applies to all levels together. As published, an image without
    positives has no negatives; ``negatives_without_faces`` sets their number. Then the divisor is at least the number
    of these negatives in the batch divided by ``neg_pos_ratio``.

    Args:
        *args: see ``SSDHead``; ``num_classes`` is 1. Read from ``train_cfg``: the assigner's ``pos_iou_thr``,
            ``neg_pos_ratio``, ``smoothl1_beta``, ``allowed_border``, ``ignored_as_background`` (default False; True as
            published) and ``negatives_without_faces`` (default 0).
        **kwargs: see ``SSDHead``.

    Raises:
        InputError: there is more than one class or prior per cell, or the assigner has another matching rule.
    """

    loss_cls = None  # SSDHead never sets it, but its predict reads it (mmdet 3.3.0)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if any(number != 1 for number in self.num_base_priors):
            raise InputError(f'PALHead has one prior per cell; its anchor_generator makes {self.num_base_priors}')
        if self.num_classes != 1:
            raise InputError(f'PALHead finds faces and nothing else: set num_classes=1, not {self.num_classes}')
        self.priors = PriorCache(self.prior_generator, (self.train_cfg or {}).get('allowed_border', -1))
        if self.train_cfg:
            _check_rule(self.train_cfg['assigner'])

    def loss_by_feat(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        batch_gt_instances: InstanceList,
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: OptInstanceList = None,
    ) -> dict[str, Tensor]:
        """Compute both losses of the batch, scalars.

        Args:
            cls_scores: logits of each level, ``(B, 2, h, w)``: face, then background.
            bbox_preds: box deltas of each level, ``(B, 4, h, w)``.
            batch_gt_instances: faces of each image in ``bboxes``, pixels.
            batch_img_metas: ``img_shape`` and ``pad_shape`` of each image.
            batch_gt_instances_ignore: ignored boxes of each image in ``bboxes``.
        """
        sums, numbers = self.sums_by_feat(
            cls_scores, bbox_preds, batch_gt_instances, batch_img_metas, batch_gt_instances_ignore
        )
        divisor = self.divisor(numbers, len(batch_gt_instances))
        return {name: value / divisor for name, value in sums.items()}

    def divisor(self, numbers: Tensor, batch: int) -> Tensor:
        """Divisor of the losses of ``batch`` images, ``(...)``.

        Args:
            numbers: number of positives and minimum divisor due to ``negatives_without_faces``, ``(..., 2)``.
            batch: batch size, the divisor if both numbers are 0.
        """
        if self.training:  # gradients are means over the processes, so the divisor is a mean, too
            numbers = reduce_mean(numbers)
        larger = numbers.amax(-1)
        return torch.where(larger > 0, larger, batch)

    def sums_by_feat(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        batch_gt_instances: InstanceList,
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: OptInstanceList = None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the losses of :meth:`loss_by_feat` before the division, and the numbers for :meth:`divisor`."""
        with torch.autocast(cls_scores[0].device.type, enabled=False):
            boxes = [instances.bboxes for instances in batch_gt_instances]
            ignored = None
            if batch_gt_instances_ignore is not None and not self.train_cfg.get('ignored_as_background', False):
                ignored = [None if each is None else each.get('bboxes') for each in batch_gt_instances_ignore]
            matches, targets, inside = self.match(_sizes(cls_scores), boxes, batch_img_metas, ignored)
            counts, numbers = self._negatives(matches.positive)
            scores = _flat(cls_scores)
            losses = F.binary_cross_entropy_with_logits(
                scores[:, 0] - scores[:, 1], matches.positive.float(), reduction='none'
            )
            hard = hardest(losses.masked_fill(matches.positive | matches.ignored | ~inside, 0), counts)
            distances = F.smooth_l1_loss(
                _flat(bbox_preds), targets, beta=self.train_cfg['smoothl1_beta'], reduction='none'
            )
            sums = dict(
                loss_cls=(losses * matches.positive).sum() + hard.sum(),
                loss_bbox=(distances * matches.positive[:, None]).sum(),
            )
            return sums, numbers

    def _negatives(self, positive: Tensor) -> tuple[Tensor, Tensor]:
        """Number of negatives of each image, ``(B,)``, and numbers for :meth:`divisor`; ``positive`` is ``(B, P)``."""
        ratio, without_faces = self.train_cfg['neg_pos_ratio'], self.train_cfg.get('negatives_without_faces', 0)
        counts, empty = ratio * positive.sum(1), ~positive.any(1)
        numbers = torch.stack([positive.sum(), empty.sum() * (without_faces / ratio)])
        return (counts.masked_fill(empty, without_faces) if without_faces else counts), numbers.float()

    def match(
        self,
        sizes: tuple[tuple[int, int], ...],
        boxes: Sequence[Tensor],
        metas: Sequence[dict],
        ignored: Sequence[Tensor | None] | None = None,
    ) -> tuple[Matches, Tensor, Tensor]:
        """Match the priors of a batch.

        Args:
            sizes: height and width of each map.
            boxes: faces of each image, ``(M, 4)``, pixels.
            metas: ``img_shape`` and ``pad_shape`` of each image.
            ignored: ignored boxes of each image, ``(N, 4)``, pixels.

        Returns:
            The matches; target box deltas, ``(B, 4, P)``, 0 for priors that are not positive; whether each prior takes
            part, bool, ``(B, P)``.
        """
        threshold = self.train_cfg['assigner']['pos_iou_thr']
        found = []
        for faces, meta, others in zip(boxes, metas, ignored or [None] * len(metas), strict=True):
            shapes = tuple(meta['img_shape'][:2]), tuple(meta['pad_shape'][:2])
            corners, inside, size = self.priors.of_image(sizes, faces.device, *shapes)
            faces, others = (None if pixels is None else (pixels / size).to(corners) for pixels in (faces, others))
            found.append((match_priors(corners, faces, others, threshold, inside), corners, inside))
        matches = Matches(*map(torch.stack, zip(*(match for match, _, _ in found), strict=True)))
        corners, inside = (torch.stack(parts) for parts in zip(*(priors for _, *priors in found), strict=True))
        targets = encode(corners, matches.faces, self.bbox_coder.means, self.bbox_coder.stds)
        return matches, targets.masked_fill_(~matches.positive[..., None], 0).transpose(1, 2), inside

    def predict_by_feat(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        score_factors: None = None,
        batch_img_metas: list[dict] | None = None,
        cfg: ConfigType | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> InstanceList:
        """Faces of each image, highest score first; only the ``nms_pre`` highest-scored priors are decoded.

        Args:
            cls_scores: logits of each level, ``(B, 2, h, w)``: face, then background.
            bbox_preds: box deltas of each level, ``(B, 4, h, w)``.
            score_factors: unused.
            batch_img_metas: ``img_shape`` of each image; also ``scale_factor`` if ``rescale``.
            cfg: replaces ``test_cfg``.
            rescale: return boxes in pixels of the original image.
            with_nms: whether to apply NMS and ``max_per_img``.
        """
        assert batch_img_metas is not None
        cfg = self.test_cfg if cfg is None else cfg
        with torch.no_grad(), torch.autocast(cls_scores[0].device.type, enabled=False):
            scores = _flat(cls_scores).softmax(dim=1)[:, 0]
            threshold, most = cfg.get('score_thr', 0), cfg.get('nms_pre', -1)
            most = min(most, scores.shape[1]) if most > 0 else scores.shape[1]
            scores, indices = scores.where(scores > threshold, -torch.inf).topk(most, dim=1)
            counts = (scores > threshold).sum(dim=1).tolist()  # the only GPU synchronisation before NMS
            scores, indices = scores[:, : max(counts)], indices[:, : max(counts)]
            boxes = self._decode(_sizes(cls_scores), _flat(bbox_preds), indices, batch_img_metas)
            if rescale:
                factors = [[1 / factor for factor in meta['scale_factor']] * 2 for meta in batch_img_metas]
                boxes = boxes * boxes.new_tensor(factors)[:, None]
            labels = torch.zeros(max(counts), dtype=torch.long, device=boxes.device)
            return [
                self._bbox_post_process(
                    InstanceData(bboxes=image_boxes[:count], scores=image_scores[:count], labels=labels[:count]),
                    cfg=cfg,
                    with_nms=with_nms,
                    img_meta=meta,
                )
                for image_boxes, image_scores, count, meta in zip(boxes, scores, counts, batch_img_metas, strict=True)
            ]

    def _bbox_post_process(
        self, results: InstanceData, cfg: ConfigType, with_nms: bool = True, **kwargs: object
    ) -> InstanceData:
        """NMS keeps a box regardless of lower-scored ones, so a prefix of the sorted boxes is usually enough."""
        first = 2 * cfg.get('max_per_img', 0)
        if with_nms and cfg.nms.get('type', 'nms') == 'nms' and 0 < first < len(results):
            kept = super()._bbox_post_process(results[:first], cfg, with_nms=with_nms, **kwargs)
            if len(kept) == cfg.max_per_img:
                return kept
        return super()._bbox_post_process(results, cfg, with_nms=with_nms, **kwargs)

    def _decode(
        self, sizes: tuple[tuple[int, int], ...], deltas: Tensor, indices: Tensor, metas: Sequence[dict]
    ) -> Tensor:
        """Boxes ``(B, K, 4)`` in pixels from ``(B, 4, P)`` deltas, for the priors at ``indices``, ``(B, K)``."""
        chosen = deltas.gather(2, indices[:, None].expand(-1, 4, -1)).transpose(1, 2).reshape(-1, 4)
        priors = self.priors.in_pixels(sizes, deltas.device)[indices.flatten()]
        boxes = self.bbox_coder.decode(priors, chosen).view(*indices.shape, 4)
        if self.bbox_coder.clip_border:
            for image_boxes, meta in zip(boxes, metas, strict=True):
                height, width = meta['img_shape'][:2]
                image_boxes[:, 0::2].clamp_(0, width)
                image_boxes[:, 1::2].clamp_(0, height)
        return boxes


def hardest(losses: Tensor, counts: Tensor) -> Tensor:
    """Sum of the largest ``counts[b]`` losses of each image, from ``(B, P)``, without GPU synchronisation.

    The sort is stable, so that the choice among equal losses does not depend on the other images of the batch.
    """
    ranked = losses.sort(dim=1, descending=True, stable=True).values
    ranks = torch.arange(ranked.shape[1], device=ranked.device)
    return ranked.where(ranks < counts[:, None], 0).sum(dim=1)


def _check_rule(assigner: ConfigType) -> None:
    threshold = assigner.get('pos_iou_thr')
    wanted = dict(neg_iou_thr=threshold, **RULE)
    other = [key for key, value in wanted.items() if key in assigner and assigner[key] != value]
    other += [] if assigner.get('gt_max_assign_all', True) is False else ['gt_max_assign_all']
    if assigner.get('type') != 'MaxIoUAssigner' or other:
        raise InputError(
            f'train_cfg.assigner: {", ".join(dict.fromkeys(other)) or assigner.get("type")} asks for a rule that '
            "PALHead does not have; use dict(type='MaxIoUAssigner', pos_iou_thr=x, neg_iou_thr=x, min_pos_iou=0.0, "
            'gt_max_assign_all=False) with the threshold x of your choice'
        )


def _sizes(maps: Sequence[Tensor]) -> tuple[tuple[int, int], ...]:
    return tuple(tuple(level.shape[-2:]) for level in maps)


def _flat(maps: Sequence[Tensor]) -> Tensor:
    """All levels in the order of the priors, in float32: ``(B, values, P)``."""
    return torch.cat([level.float().flatten(2) for level in maps], dim=2)
