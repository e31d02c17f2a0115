"""ONNX files of mmdet's own detectors, of one class and of several: what mmdet's way of testing finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import DefaultScope

from mmdark.apis import load_config
from mmdark.deploy import export_onnx
from mmdark.errors import InputError
from tests.deploy.lite_detector import differences
from tests.models.spread_weights import SMALL_HEAD, spread
from tests.models.tiny_models import samples_of
from tests.tiny_wider import ROOT

onnx = pytest.importorskip('onnx', reason='the extra onnx is not installed')
onnxruntime = pytest.importorskip('onnxruntime', reason='the extra onnx is not installed')

ATSS = dict(
    type='ATSSHead',
    num_classes=1,
    in_channels=32,
    feat_channels=32,
    stacked_convs=1,
    anchor_generator=dict(
        type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0], strides=[4, 8, 16, 32, 64]
    ),
    bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2]),
)
HEADS = {
    'retinanet_r18_wider_day': SMALL_HEAD,
    'fcos_r18_wider_day': SMALL_HEAD,
    'yolox_tiny_wider_day': {},
    'rtmdet_tiny_wider_day': {},
    'gfl_dark_mobilenetv2_wider': {'backbone.init_cfg': None, 'backbone.frozen_stages': -1},
    'atss': {'neck.out_channels': 32, 'bbox_head': ATSS},
}
"""Configs, with options that make them small; ATSS stands in RetinaNet's."""
NAMES = ('cat', 'dog', 'bus')


def host(name: str, classes: int, **more: object) -> torch.nn.Module:
    """A detector by day with weights whose scores spread."""
    (path,) = (ROOT / 'configs').rglob(f'{"retinanet_r18_wider_day" if name == "atss" else name}.py')
    options = {**HEADS[name], **more}
    cfg = load_config(str(path), {f'model.{key}': value for key, value in options.items() if key != 'bbox_head'})
    cfg.model.bbox_head = options.get('bbox_head', cfg.model.bbox_head)
    cfg.model.bbox_head.num_classes = classes
    cfg.model.test_cfg.max_per_img = 2000 if 'yolox' in name else 100  # YOLOXHead of mmdet 3.3.0 ignores it
    if 'nms_pre' in cfg.model.test_cfg:
        cfg.model.test_cfg.nms_pre = 60  # of thousands of pairs, so that the choice shows
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = MODELS.build(cfg.model)
    spread(built)
    with torch.no_grad():
        for conv in getattr(built.bbox_head, 'multi_level_conv_reg', ()):  # YOLOX takes exponentials of these
            conv.weight.mul_(0.1)
            conv.bias[2:] = 2.0  # boxes large enough to overlap their neighbours
    built.dataset_meta = dict(classes=NAMES[:classes])
    return built.eval()


def in_mmdet(detector: torch.nn.Module, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and labels by the way on which mmdet tests."""
    (sample,) = samples_of([], size=image.shape[:2])
    sample.set_metainfo(dict(ori_shape=image.shape[:2], scale_factor=(1.0, 1.0)))
    inputs = [torch.from_numpy(image.transpose(2, 0, 1).copy())]
    with torch.no_grad():
        (found,) = detector.test_step(dict(inputs=inputs, data_samples=[sample]))
    return tuple(found.pred_instances[key].numpy() for key in ('bboxes', 'scores', 'labels'))


@pytest.mark.parametrize(('name', 'classes'), [*((name, 3) for name in HEADS), ('retinanet_r18_wider_day', 1)])
def test_objects_are_those_of_mmdet(name: str, classes: int, tmp_path: Path) -> None:
    detector, out = host(name, classes), tmp_path / 'a.onnx'
    said = export_onnx(detector, out)
    assert ('objects above' in said) == (classes > 1) and 'checked with onnxruntime' in said and 'resizes' not in said
    session = onnxruntime.InferenceSession(out)
    assert [each.name for each in session.get_outputs()] == ['image', 'boxes', 'scores', *['labels'] * (classes > 1)]
    known = session.get_modelmeta().custom_metadata_map
    assert known['classes'] == ', '.join(NAMES[:classes])
    for size in ((96, 128), (70, 161)):
        image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
        _, boxes, scores, *labels = session.run(None, {'images': image[None]})
        wanted = in_mmdet(detector, image)
        assert len(wanted[0]) > 10 and (np.diff(scores) <= 0).all()
        for label in range(classes):
            mine = labels[0] == label if labels else np.ones(len(boxes), bool)
            theirs = wanted[2] == label
            assert theirs.sum() > 3
            box, score, matched = differences((wanted[0][theirs], wanted[1][theirs]), (boxes[mine], scores[mine]))
            assert box <= 0.5 and score <= 1e-3 and matched >= 0.98


class TwoStage(torch.nn.Module):
    """What tells a two-stage detector."""

    roi_head = None


def test_others_get_one_line(tmp_path: Path) -> None:
    transformer = torch.nn.Module()
    transformer.bbox_head = MODELS.build(dict(type='DETRHead', num_classes=1))
    for detector in (TwoStage(), transformer):
        with pytest.raises(InputError, match=r'cannot be exported: mmdark writes .* take MMDeploy$'):
            export_onnx(detector, tmp_path / 'a.onnx')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.one_family
def test_the_line_about_resizing(tmp_path: Path) -> None:
    detector = host('retinanet_r18_wider_day', 1)
    detector.cfg = load_config(str(ROOT / 'configs' / 'subset' / 'dsfd_dark_lite_subset.py'))
    said = export_onnx(detector, tmp_path / 'a.onnx', check=False)
    assert said.endswith('The config resizes images to fit 640x640; a.onnx does not: resize them first')


def test_what_torch_cannot_export_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **options: object) -> None:
        raise torch.onnx.errors.OnnxExporterError('Unsupported: ONNX export of x. Please feel free\nto request')

    monkeypatch.setattr(torch.onnx.utils, 'export', fails)
    with pytest.raises(InputError, match=r'^torch .* cannot export this model \(.* export of x\): install'):
        export_onnx(host('retinanet_r18_wider_day', 1), tmp_path / 'a.onnx', check=False)
    assert not list(tmp_path.iterdir())
