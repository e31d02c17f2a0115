"""Non-maximum suppression as ONNX operators, appended to a detector's graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from mmdark.errors import InputError

from .onnx_packages import onnx_package

if TYPE_CHECKING:
    from onnx import ModelProto

ALL_BOXES, ALL_SCORES, ALL_LABELS = 'all_boxes', 'all_scores', 'all_labels'
"""Names of the detector outputs that NMS takes as inputs; labels only with several classes."""

GRAPH = """
<ir_version: {ir_version}, opset_import: ["" : {opset}]>
suppression (float[batch, priors, 4] all_boxes, float[batch, priors] all_scores{labels_in})
    => (int64[faces] image, float[faces, 4] boxes, float[faces] scores{labels_out})
<int64[1] nms_priors = {{{nms_pre}}}, int64[1] nms_last = {{-1}}, int64[1] nms_class = {{1}}, int64 nms_batch = {{0}},
 int64[2] nms_image_and_place = {{0, 2}}, int64[1] nms_most = {{{max_per_img}}},
 float[1] nms_overlap = {{{iou_threshold}}}, float[1] nms_score = {{{score_thr}}}>
{{
    nms_count = Shape <start = 1, end = 2> (all_scores)
    nms_k = Min (nms_priors, nms_count)
    nms_best, nms_places = TopK <axis = 1> (all_scores, nms_k)
    nms_indices = Unsqueeze (nms_places, nms_last)
    nms_boxes = GatherND <batch_dims = 1> (all_boxes, nms_indices)
    nms_of_class = Unsqueeze (nms_best, nms_class)
{apart}    nms_kept = NonMaxSuppression ({suppressed}, nms_of_class, nms_most, nms_overlap, nms_score)
    nms_pairs = Gather <axis = 1> (nms_kept, nms_image_and_place)
    image = Gather <axis = 1> (nms_kept, nms_batch)
    boxes = GatherND (nms_boxes, nms_pairs)
    scores = GatherND (nms_best, nms_pairs)
{labels}}}
"""
"""NMS in ONNX's text format. The faces of all images are concatenated, those of each image sorted by score."""
ONE_CLASS = dict(labels_in='', labels_out='', apart='', suppressed='nms_boxes', labels='')
SEVERAL_CLASSES = dict(
    labels_in=', int64[batch, priors] all_labels',
    labels_out=', int64[faces] labels',
    apart="""\
    nms_labels = GatherElements <axis = 1> (all_labels, nms_places)
    nms_numbers = Cast <to = 1> (nms_labels)
    nms_right = ReduceMax (all_boxes)
    nms_left = ReduceMin (all_boxes)
    nms_extent = Sub (nms_right, nms_left)
    nms_one = Constant <value_float = 1.0> ()
    nms_step = Add (nms_extent, nms_one)
    nms_columns = Unsqueeze (nms_numbers, nms_last)
    nms_shifts = Mul (nms_columns, nms_step)
    nms_apart = Add (nms_boxes, nms_shifts)
""",
    suppressed='nms_apart',
    labels='    labels = GatherND (nms_labels, nms_pairs)\n',
)
"""Boxes are offset by class, as in mmcv's ``batched_nms``, so that different classes do not suppress each other."""


class Limits(NamedTuple):
    """NMS settings from a model's ``test_cfg``.

    Attributes:
        score_thr: boxes are kept if their score is above it.
        nms_pre: number of highest-scored boxes that enter NMS; all if it is not above 0.
        iou_threshold: NMS drops boxes whose IoU with a kept box of higher score is above it.
        max_per_img: maximum number of faces per image.
        min_size: boxes are kept if width and height are above it; a negative value keeps all.
    """

    score_thr: float
    nms_pre: int
    iou_threshold: float
    max_per_img: int
    min_size: float = -1.0

    def after_choice(self) -> Limits:
        """Limits for a head that has already applied ``score_thr`` and ``nms_pre``: all scores above 0."""
        return self._replace(score_thr=0.0, nms_pre=-1)


def limits_of(test_cfg: Mapping, min_size: bool = False) -> Limits:
    """Read the limits from a ``test_cfg``.

    Args:
        test_cfg: of the detector.
        min_size: whether the detector has removed small boxes already; :data:`GRAPH` does not.

    Raises:
        InputError: ``test_cfg`` has a setting that :data:`GRAPH` does not support.
    """
    nms = test_cfg.get('nms') or {}
    most = test_cfg.get('max_per_img', -1)
    remedy = 'change it with --cfg-options, or export without the suppression (--no-nms)'
    if nms.get('type', 'nms') != 'nms' or 'iou_threshold' not in nms or nms.get('class_agnostic'):
        raise InputError(f'test_cfg.nms={dict(nms)}: ONNX files have dict(type="nms", iou_threshold=x) alone; {remedy}')
    if most <= 0:
        raise InputError(f'test_cfg.max_per_img={most}: ONNX files need a number above 0; {remedy}')
    least = float(test_cfg.get('min_bbox_size', -1))
    if least >= 0 and not min_size:
        raise InputError(f'test_cfg.min_bbox_size={test_cfg["min_bbox_size"]}: ONNX files keep all sizes; {remedy}')
    return Limits(
        float(test_cfg.get('score_thr', 0)), test_cfg.get('nms_pre', -1), float(nms['iou_threshold']), most, least
    )


def with_suppression(model: ModelProto, limits: Limits) -> ModelProto:
    """Append NMS to the outputs :data:`ALL_BOXES`, :data:`ALL_SCORES` and :data:`ALL_LABELS` of ``model``.

    The new outputs are ``image``, the batch index of each face, int64, ``(N,)``; ``boxes``, ``(N, 4)``; ``scores``,
    ``(N,)``; and with several classes ``labels``, int64, ``(N,)``.
    """
    compose, parser = onnx_package('onnx.compose'), onnx_package('onnx.parser')
    (opset,) = (each.version for each in model.opset_import if each.domain in ('', 'ai.onnx'))
    numbers = {**limits._asdict(), 'nms_pre': limits.nms_pre if limits.nms_pre > 0 else 2**62}
    given = [output.name for output in model.graph.output]
    classes = SEVERAL_CLASSES if ALL_LABELS in given else ONE_CLASS
    text = GRAPH.format(ir_version=model.ir_version, opset=opset, **numbers, **classes)
    joints = [(name, name) for name in given]
    merged = compose.merge_models(model, parser.parse_model(text), io_map=joints)
    del merged.opset_import[:]  # merging lists the opset twice, which onnxruntime's quantisation rejects
    merged.opset_import.extend(model.opset_import)
    return merged
