"""Non-maximum suppression as ONNX operators, appended to a detector's graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from mmdark.errors import InputError

from .onnx_packages import onnx_package

if TYPE_CHECKING:
    from onnx import ModelProto

ALL_BOXES, ALL_SCORES = 'all_boxes', 'all_scores'
"""What a graph calls its outputs that the suppression takes."""

GRAPH = """
<ir_version: {ir_version}, opset_import: ["" : {opset}]>
suppression (float[batch, priors, 4] all_boxes, float[batch, priors] all_scores)
    => (int64[faces] image, float[faces, 4] boxes, float[faces] scores)
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
    nms_kept = NonMaxSuppression (nms_boxes, nms_of_class, nms_most, nms_overlap, nms_score)
    nms_pairs = Gather <axis = 1> (nms_kept, nms_image_and_place)
    image = Gather <axis = 1> (nms_kept, nms_batch)
    boxes = GatherND (nms_boxes, nms_pairs)
    scores = GatherND (nms_best, nms_pairs)
}}
"""
"""In ONNX's text format. The faces of all images stand one after the other, those of an image from the best on."""


class Limits(NamedTuple):
    """What a model's ``test_cfg`` says of its detections.

    Attributes:
        score_thr: a face scores above it.
        nms_pre: so many of the best are looked at; all of them if it is not above 0.
        iou_threshold: of the overlapping boxes above it only the best stays.
        max_per_img: at most so many faces an image.
    """

    score_thr: float
    nms_pre: int
    iou_threshold: float
    max_per_img: int


def limits_of(test_cfg: Mapping) -> Limits:
    """The limits of a ``test_cfg``.

    Raises:
        InputError: it asks for what :data:`GRAPH` does not do.
    """
    nms = test_cfg.get('nms') or {}
    most = test_cfg.get('max_per_img', -1)
    remedy = 'change it with --cfg-options, or export without the suppression (--no-nms)'
    if nms.get('type', 'nms') != 'nms' or 'iou_threshold' not in nms:
        raise InputError(f'test_cfg.nms={dict(nms)}: ONNX files have dict(type="nms", iou_threshold=x) alone; {remedy}')
    if most <= 0:
        raise InputError(f'test_cfg.max_per_img={most}: ONNX files need a number above 0; {remedy}')
    if test_cfg.get('min_bbox_size', -1) >= 0:
        raise InputError(f'test_cfg.min_bbox_size={test_cfg["min_bbox_size"]}: ONNX files keep all sizes; {remedy}')
    return Limits(float(test_cfg.get('score_thr', 0)), test_cfg.get('nms_pre', -1), float(nms['iou_threshold']), most)


def with_suppression(model: ModelProto, limits: Limits) -> ModelProto:
    """``model`` with the suppression behind its outputs :data:`ALL_BOXES` and :data:`ALL_SCORES`.

    The outputs are then ``image``, the place in the batch of each face, int64, ``(N,)``; ``boxes``, ``(N, 4)``;
    and ``scores``, ``(N,)``.
    """
    compose, parser = onnx_package('onnx.compose'), onnx_package('onnx.parser')
    (opset,) = (each.version for each in model.opset_import if each.domain in ('', 'ai.onnx'))
    numbers = {**limits._asdict(), 'nms_pre': limits.nms_pre if limits.nms_pre > 0 else 2**62}
    text = GRAPH.format(ir_version=model.ir_version, opset=opset, **numbers)
    joints = [(name, name) for name in (ALL_BOXES, ALL_SCORES)]
    merged = compose.merge_models(model, parser.parse_model(text), io_map=joints)
    del merged.opset_import[:]  # it is there twice, on which onnxruntime's quantisation stops
    merged.opset_import.extend(model.opset_import)
    return merged
