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

from .hard_negatives import hardest
from .prior_cache import PriorCache
from .prior_matching import Matches, encode, match_priors, pad_faces

RULE = dict(min_pos_iou=0, gt_max_assign_all=False, match_low_quality=True, ignore_iof_thr=-1)
"""What the one rule of matching that is built in means in the words of ``MaxIoUAssigner``."""


@MODELS.register_module()
class PALHead(SSDHead):
    """One shot: one square anchor a cell, smooth-L1 and cross entropy with 3:1 hard negatives.

    It is mmdet's SSDHead in what it takes and returns, with matching, losses and detections computed for all images at
    once, in float32 under autocast, too. No loss waits for the device. As published, faces are matched in fractions of
    the image, hard negatives are counted in each image, the losses are divided by the number of positives in the batch
    (the batch size if there is none), in training over all processes, and ``nms_pre`` counts over all levels. Priors
    whose best overlap is an ignored box are neither positive nor negative. As published, an image without positives
    has no negatives either; with ``negatives_without_faces`` it gives so many, and ``neg_pos_ratio`` of them count as
    much as one positive where a batch has fewer positives than that.

    Args:
        *args: see ``SSDHead``; ``num_classes`` is 1. Of ``train_cfg``, the assigner's ``pos_iou_thr``,
            ``neg_pos_ratio``, ``smoothl1_beta``, ``allowed_border``, ``ignored_as_background`` (False if left out; True
            takes ignored boxes for background, as published) and ``negatives_without_faces`` (0 if left out) are read.
        **kwargs: see ``SSDHead``.

    Raises:
        InputError: there is more than one class or prior a cell, or ``train_cfg.assigner`` asks for another rule of
            matching.
    """

    loss_cls = None

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if any(number != 1 for number in self.num_base_priors):
            raise InputError(f'PALHead has one prior a cell; its anchor_generator makes {self.num_base_priors}')
        if self.num_classes != 1:
            raise InputError(f'PALHead finds faces and nothing else: set num_classes=1, not {self.num_classes}')
        self.priors = PriorCache(self.prior_generator)
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
        """Both losses of the batch, scalars.

        Args:
            cls_scores: of each level, ``(B, 2, h, w)``: face, then background.
            bbox_preds: of each level, ``(B, 4, h, w)``.
            batch_gt_instances: faces of each image in ``bboxes``, pixels.
            batch_img_metas: ``img_shape`` and ``pad_shape`` of each image.
            batch_gt_instances_ignore: ignored boxes of each image in ``bboxes``, or None where there are none.
        """
        sums, numbers = self.sums_by_feat(
            cls_scores, bbox_preds, batch_gt_instances, batch_img_metas, batch_gt_instances_ignore
        )
        divisor = self.divisor(numbers, len(batch_gt_instances))
        return {name: value / divisor for name, value in sums.items()}

    def divisor(self, numbers: Tensor, batch: int) -> Tensor:
        """What sums of losses are divided by: positives, in training those of all processes, or the batch size.

        Args:
            numbers: of positives, and the least that ``negatives_without_faces`` asks for, ``(..., 2)``.
            batch: number of images.

        Returns:
            Shape ``(...)``.
        """
        if self.training:  # gradients are means over the processes: together, all losses over all positives
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
        """The losses of :meth:`loss_by_feat` before they are divided, and the numbers for :meth:`divisor`."""
        with torch.autocast(cls_scores[0].device.type, enabled=False):
            boxes = [instances.bboxes for instances in batch_gt_instances]
            background = self.train_cfg.get('ignored_as_background', False)
            ignored = None if background else _ignored_boxes(batch_gt_instances_ignore, boxes)
            matches, targets, inside = self.match(_sizes(cls_scores), boxes, batch_img_metas, ignored)
            counts, numbers = self._negatives(matches.positive)
            scores = _flat(cls_scores)
            losses = F.binary_cross_entropy_with_logits(
                scores[:, 0] - scores[:, 1], matches.positive.float(), reduction='none'
            )
            left_out = matches.ignored if inside is None else matches.ignored | ~inside
            hard = hardest(losses.masked_fill(matches.positive | left_out, 0), counts)
            distances = F.smooth_l1_loss(
                _flat(bbox_preds), targets, beta=self.train_cfg['smoothl1_beta'], reduction='none'
            )
            sums = dict(
                loss_cls=(losses * matches.positive).sum() + hard.sum(),
                loss_bbox=(distances * matches.positive[:, None]).sum(),
            )
            return sums, numbers

    def _negatives(self, positive: Tensor) -> tuple[Tensor, Tensor]:
        """How many negatives each image gives, ``(B,)``, and the numbers for :meth:`divisor`, from ``(B, P)``."""
        ratio, without_faces = self.train_cfg['neg_pos_ratio'], self.train_cfg.get('negatives_without_faces', 0)
        counts, empty = ratio * positive.sum(1), ~positive.any(1)
        numbers = torch.stack([positive.sum(), empty.sum() * (without_faces / ratio)])
        return (counts.masked_fill(empty, without_faces) if without_faces else counts), numbers.float()

    def match(
        self,
        sizes: tuple[tuple[int, int], ...],
        boxes: Sequence[Tensor],
        metas: Sequence[dict],
        ignored: Sequence[Tensor] | None = None,
    ) -> tuple[Matches, Tensor, Tensor | None]:
        """Which prior learns which face, and what.

        Args:
            sizes: height and width of each map.
            boxes: faces of each image, ``(M, 4)``, pixels.
            metas: ``img_shape`` and ``pad_shape`` of each image.
            ignored: ignored boxes of each image, ``(N, 4)``, pixels; None: there are none.

        Returns:
            The matches; the box deltas to learn, ``(B, 4, P)``, 0 where there is nothing to learn; which priors take
            part, bool, ``(B, P)``, or None: all.
        """
        self.priors.allowed_border = self.train_cfg['allowed_border']
        of_images = [
            self.priors.of_image(sizes, boxes[0].device, tuple(meta['img_shape'][:2]), tuple(meta['pad_shape'][:2]))
            for meta in metas
        ]
        corners = torch.stack([own.corners for own in of_images])
        inside = None
        if any(own.inside is not None for own in of_images):
            everywhere = corners.new_ones(corners.shape[2], dtype=torch.bool)
            inside = torch.stack([everywhere if own.inside is None else own.inside for own in of_images])

        def fractions(pixels: Sequence[Tensor]) -> list[Tensor]:
            return [(each / own.size).to(corners.dtype) for each, own in zip(pixels, of_images, strict=True)]

        faces, real = pad_faces(fractions(boxes), ignored and fractions(ignored))
        matches = match_priors(corners, sizes, faces, real, self.train_cfg['assigner']['pos_iou_thr'], inside)
        targets = encode(corners, matches.faces, self.bbox_coder.means, self.bbox_coder.stds)
        return matches, targets.masked_fill_(~matches.positive[:, None], 0), inside

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
        """Faces of each image, the best first; only the ``nms_pre`` best of all levels are decoded.

        Args:
            cls_scores: of each level, ``(B, 2, h, w)``: face, then background.
            bbox_preds: of each level, ``(B, 4, h, w)``.
            score_factors: None.
            batch_img_metas: ``img_shape`` of each image; its ``scale_factor`` if ``rescale``.
            cfg: in place of ``test_cfg``.
            rescale: boxes in pixels of the original image.
            with_nms: False leaves out the suppression and ``max_per_img``.
        """
        cfg = self.test_cfg if cfg is None else cfg
        with torch.no_grad(), torch.autocast(cls_scores[0].device.type, enabled=False):
            scores = _flat(cls_scores).softmax(dim=1)[:, 0]
            threshold, most = cfg.get('score_thr', 0), cfg.get('nms_pre', -1)
            most = min(most, scores.shape[1]) if most > 0 else scores.shape[1]
            scores, places = scores.where(scores > threshold, -torch.inf).topk(most, dim=1)
            found = (scores > threshold).sum(dim=1).tolist()  # the only wait for the device before the suppression
            longest = max(found)
            scores, places = scores[:, :longest], places[:, :longest]
            boxes = self._decode(_sizes(cls_scores), _flat(bbox_preds), places, batch_img_metas)
            if rescale:
                factors = [[1 / factor for factor in meta['scale_factor']] * 2 for meta in batch_img_metas]
                boxes = boxes * boxes.new_tensor(factors)[:, None]
            return [
                self._bbox_post_process(
                    InstanceData(
                        bboxes=own[:count],
                        scores=score[:count],
                        labels=torch.zeros(count, dtype=torch.long, device=own.device),
                    ),
                    cfg=cfg,
                    with_nms=with_nms,
                    img_meta=meta,
                )
                for own, score, count, meta in zip(boxes, scores, found, batch_img_metas, strict=True)
            ]

    def _bbox_post_process(
        self, results: InstanceData, cfg: ConfigType, with_nms: bool = True, **kwargs: object
    ) -> InstanceData:
        """SSDHead's, of sorted boxes: what stays of the best does so whatever follows, so they are often enough."""
        first = 2 * cfg.get('max_per_img', 0)
        if with_nms and cfg.nms.get('type', 'nms') == 'nms' and 0 < first < len(results):
            kept = super()._bbox_post_process(results[:first], cfg, with_nms=with_nms, **kwargs)
            if len(kept) == cfg.max_per_img:
                return kept
        return super()._bbox_post_process(results, cfg, with_nms=with_nms, **kwargs)

    def _decode(
        self, sizes: tuple[tuple[int, int], ...], deltas: Tensor, places: Tensor, metas: Sequence[dict]
    ) -> Tensor:
        """Boxes in pixels of the priors at ``places``, ``(B, K)``, from ``(B, 4, P)`` deltas: ``(B, K, 4)``."""
        chosen = deltas.gather(2, places[:, None].expand(-1, 4, -1)).transpose(1, 2).reshape(-1, 4)
        priors = self.priors.in_pixels(sizes, deltas.device)[places.flatten()]
        boxes = self.bbox_coder.decode(priors, chosen).view(*places.shape, 4)
        if self.bbox_coder.clip_border:
            for own, meta in zip(boxes, metas, strict=True):
                height, width = meta['img_shape'][:2]
                own[:, 0::2].clamp_(0, width)
                own[:, 1::2].clamp_(0, height)
        return boxes


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


def _ignored_boxes(instances: OptInstanceList, faces: Sequence[Tensor]) -> list[Tensor] | None:
    """The boxes of each image's ignored instances, ``(N, 4)``; None where no image has any."""
    found = [None if each is None else each.get('bboxes') for each in instances or []]
    if not any(boxes is not None and len(boxes) for boxes in found):
        return None
    return [own[:0] if boxes is None else boxes for boxes, own in zip(found, faces, strict=True)]


def _sizes(maps: Sequence[Tensor]) -> tuple[tuple[int, int], ...]:
    return tuple(tuple(level.shape[-2:]) for level in maps)


def _flat(maps: Sequence[Tensor]) -> Tensor:
    """All levels in the order of the priors, in float32: ``(B, values, P)``."""
    return torch.cat([level.float().flatten(2) for level in maps], dim=2)
