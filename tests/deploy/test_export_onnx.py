"""ONNX files: what PyTorch finds, at any size and in any batch, and nothing that only training needs."""

import functools
import hashlib
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import mmdark
from mmdark.deploy import export_onnx, suppression
from mmdark.deploy.detector_graph import DetectorGraph
from mmdark.errors import InputError
from tests.deploy.lite_detector import differences, in_mmdet, lite_detector, needs_ceil_mode
from tests.deploy.suppression_fault import suppression_fault
from tests.models.tiny_models import tiny, tiny_dsfd

onnx = pytest.importorskip('onnx', reason='the extra onnx is not installed')
onnxruntime = pytest.importorskip('onnxruntime', reason='the extra onnx is not installed')

pytestmark = needs_ceil_mode
REAL = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'wider' / 'WIDER_val' / 'images'
SIZES = ((160, 224), (131, 97), (70, 261), (64, 128), (40, 33))


@pytest.fixture(scope='module')
def detector() -> torch.nn.Module:
    return lite_detector()


@pytest.fixture(scope='module')
def weights(tmp_path_factory: pytest.TempPathFactory, detector: torch.nn.Module) -> Path:
    path = tmp_path_factory.mktemp('weights') / 'iter_2.pth'
    torch.save(detector.state_dict(), path)
    return path


@pytest.fixture(scope='module')
def file(tmp_path_factory: pytest.TempPathFactory, detector: torch.nn.Module, weights: Path) -> Path:
    out = tmp_path_factory.mktemp('onnx') / 'faces.onnx'
    said = export_onnx(detector, out, weights=weights)
    assert said.startswith(f'{out}: ') and 'any batch and size, faces above 0.05, IoU 0.3, at most 750' in said
    assert 'checked with onnxruntime against PyTorch on 6 images' in said
    return out


def run(file: Path, images: np.ndarray) -> list[np.ndarray]:
    return session(file).run(None, {'images': images})


@functools.cache
def session(file: Path) -> object:
    return onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def check_like_mmdet(detector: torch.nn.Module, file: Path, image: np.ndarray) -> int:
    """The acceptance of the issue; how many faces there were."""
    (wanted,) = in_mmdet(detector, [image])
    places, boxes, scores = run(file, image[None])
    assert not places.any()
    box, score, matched = differences(wanted, (boxes, scores))
    assert box <= 0.5 and score <= 1e-3 and matched >= 0.98
    return len(wanted[0])


def test_faces_are_those_of_mmdet_at_any_size(detector: torch.nn.Module, file: Path) -> None:
    faces = [check_like_mmdet(detector, file, noise(*size)) for size in SIZES]
    assert min(faces) > 3 and max(faces) > 100


def test_faces_are_those_of_mmdet_on_real_photographs(detector: torch.nn.Module, file: Path) -> None:
    paths = sorted(REAL.glob('*/*.jpg'))[::12][:20]
    if len(paths) < 20:
        pytest.skip(f'{REAL} is missing')
    faces = 0
    for number, path in enumerate(paths):
        image = cv2.imread(str(path))
        scale = (180 + 7 * number) / max(image.shape)
        faces += check_like_mmdet(detector, file, cv2.resize(image, None, fx=scale, fy=scale))
    assert faces > 1000


def test_images_of_a_batch_are_as_they_are_alone(detector: torch.nn.Module, file: Path) -> None:
    images = noise(3, 100, 150)
    places, boxes, scores = run(file, images)
    assert set(places) == {0, 1, 2}
    for number, wanted in enumerate(in_mmdet(detector, list(images))):
        found = boxes[places == number], scores[places == number]
        box, score, matched = differences(wanted, found)
        assert box <= 0.5 and score <= 1e-3 and matched >= 0.98


def test_without_suppression_every_prior_is_there(detector: torch.nn.Module, file: Path, tmp_path: Path) -> None:
    export_onnx(detector, tmp_path / 'all.onnx', nms=False, check=False)
    images = noise(2, 100, 150)
    boxes, scores = run(tmp_path / 'all.onnx', images)
    cells = sum(h * w for h, w in ((25, 37), (13, 19), (6, 9), (3, 4), (2, 2), (1, 1)))
    assert boxes.shape == (2, cells, 4) and scores.shape == (2, cells)
    places, kept, kept_scores = run(file, images)
    for place, box, score in zip(places, kept, kept_scores, strict=True):
        assert ((abs(boxes[place] - box).max(axis=1) < 1e-3) & (abs(scores[place] - score) < 1e-5)).any()


def test_half_is_half_as_large_and_nearly_the_same(detector: torch.nn.Module, file: Path, tmp_path: Path) -> None:
    half = tmp_path / 'half.onnx'
    assert 'float16' in export_onnx(detector, half, half=True, check=False)
    assert half.stat().st_size < 0.6 * file.stat().st_size
    types = {
        each.data_type for each in onnx.load(half).graph.initializer if each.name.endswith('weight') and each.dims[1:]
    }
    assert types == {onnx.TensorProto.FLOAT16}
    (wanted,) = in_mmdet(detector, [noise(100, 150)])
    _, boxes, scores = run(half, noise(1, 100, 150))
    assert boxes.dtype == scores.dtype == np.float32
    box, score, matched = differences(wanted, (boxes, scores))
    assert box < 2 and score < 0.02 and matched > 0.9


def test_a_file_of_one_size_takes_that_size_alone(detector: torch.nn.Module, tmp_path: Path) -> None:
    out = tmp_path / 'one.onnx'
    assert 'one image of 33x20' in export_onnx(detector, out, size=(20, 33), opset=17)  # sizes that DarkVGG pads
    check_like_mmdet(detector, out, noise(20, 33))
    with pytest.raises(Exception, match='invalid dimensions'):
        run(out, noise(1, 33, 20))


@pytest.mark.parametrize(
    'options',
    [
        {
            'model.detector.data_preprocessor.pad_size_divisor': 32,
            'model.detector.bbox_head.second_shot.bbox_coder.clip_border': True,
        }
    ],
)
def test_padding_and_clipping_are_in_the_graph(options: dict, tmp_path: Path) -> None:
    detector = lite_detector({**options, 'model.detector.data_preprocessor.mean': [10.0, 20.0, 30.0]})
    export_onnx(detector, tmp_path / 'a.onnx')
    assert check_like_mmdet(detector, tmp_path / 'a.onnx', noise(70, 101)) > 3
    _, boxes, _ = run(tmp_path / 'a.onnx', noise(1, 70, 101))
    assert boxes.min() >= 0 and boxes[:, 2].max() <= 101 and boxes[:, 3].max() <= 70


def test_other_backbones_and_dead_pixels(tmp_path: Path) -> None:
    """Without biases a black image gives maps of nothing but 0, whose length L2Norm must not divide by."""
    from mmdet.registry import MODELS
    from mmengine.config import Config

    day = tmp_path / 'day.onnx'
    detector = tiny_dsfd()
    export_onnx(detector, day)
    assert detector.training
    for found in run(day, np.zeros((1, 64, 64, 3), np.uint8)):
        assert np.isfinite(found).all()
    model = Config.fromfile(mmdark.apis.config_path('dsfd/dsfd_resnet50_wider.py')).model
    model = tiny(model)
    model.neck.in_channels = channels = [32, 64, 128, 256, 64, 32]
    for shot in ('first_shot', 'second_shot'):
        model.bbox_head[shot].in_channels = channels
    assert 'checked' in export_onnx(MODELS.build(model), tmp_path / 'resnet.onnx')


def test_what_only_training_needs_is_left_out(detector: torch.nn.Module, file: Path) -> None:
    model = onnx.load(file)
    assert [(each.domain, each.version) for each in model.opset_import] == [('', 17)]
    names = {name for node in model.graph.node for name in (node.name, *node.input, *node.output)}
    assert not [name for name in names if any(word in name for word in ('enhancer', 'reflectance', 'first_shot'))]
    parts = (detector.detector.backbone, detector.detector.neck, detector.detector.bbox_head.second_shot)
    needed = sum(each.numel() for part in parts for each in part.parameters())
    inside = sum(int(np.prod(each.dims)) for each in model.graph.initializer)
    assert 0.95 * needed < inside < 1.05 * needed
    assert b'/mmdark/' not in file.read_bytes() and str(Path.home()).encode() not in file.read_bytes()


def test_the_file_says_what_it_is(file: Path, weights: Path) -> None:
    known = {each.key: each.value for each in onnx.load(file).metadata_props}
    assert known['mmdark'] == mmdark.__version__ and known['classes'] == 'face'
    assert known['config'] == 'dsfd_dark_lite_demo' and known['weights'] == 'iter_2.pth'
    assert known['weights_sha256'] == hashlib.sha256(weights.read_bytes()).hexdigest()
    numbers = [float(known[name]) for name in ('score_thr', 'iou_threshold', 'nms_pre', 'max_per_img')]
    assert numbers == [0.05, 0.3, 5000, 750]
    assert 'BGR, uint8' in known['input'] and str(weights.parent) not in str(known)


def test_a_file_that_differs_is_not_left(
    detector: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / 'faces.onnx'
    out.write_bytes(b'what was here')
    traced = DetectorGraph.forward

    def shifted(self: DetectorGraph, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        boxes, scores = traced(self, images)
        return boxes + 0.6, scores

    with monkeypatch.context() as patch:
        patch.setattr(DetectorGraph, 'forward', shifted)
        with pytest.raises(InputError, match=r'differs from PyTorch on .*: boxes by 0\.6 px \(at most 0\.5\)'):
            export_onnx(detector, out)
    assert out.read_bytes() == b'what was here' and list(tmp_path.iterdir()) == [out]


def with_three_overlaps(detector: torch.nn.Module, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files with the suppression as defined, with one that keeps too much, and with one that keeps too little."""
    paths = []
    for overlap in ('{{{iou_threshold}}}', '{{0.9}}', '{{0.1}}'):
        with monkeypatch.context() as patch:
            graph = suppression.GRAPH.replace('{{{iou_threshold}}}', overlap)
            patch.setattr(suppression, 'GRAPH', graph)
            paths.append(folder / f'{len(paths)}.onnx')
            export_onnx(detector, paths[-1], check=False)
    return paths


def test_the_suppression_is_that_of_its_definition(
    detector: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the boxes that the same graph computes; by wrong overlaps it is not."""
    export_onnx(detector, tmp_path / 'all.onnx', nms=False, check=False)
    limits = suppression.limits_of(detector.detector.bbox_head.second_shot.test_cfg)
    images = noise(3, 100, 150)
    every = run(tmp_path / 'all.onnx', images)
    files = with_three_overlaps(detector, tmp_path, monkeypatch)
    faults = [suppression_fault(run(path, images), *every, limits) for path in files]
    assert faults[0] is None and 'two faces overlap' in faults[1] and 'are missing' in faults[2]


def test_what_cannot_be_used_is_one_line(detector: torch.nn.Module, tmp_path: Path) -> None:
    out = tmp_path / 'a.onnx'
    soft = lite_detector({'model.detector.test_cfg.nms.type': 'soft_nms'})
    (tmp_path / 'file').write_text('')
    for given, options, said in (
        (detector, dict(out=tmp_path / 'a.pt'), r'a\.pt: name it \*\.onnx'),
        (detector, dict(opset=9), 'opset 9: choose one of 17 to 20'),
        (detector, dict(size=(0, 9)), 'give height and width in pixels'),
        (detector, dict(images=[tmp_path / 'no.jpg']), r'no\.jpg: cannot be read \(No such file'),
        (detector, dict(weights=tmp_path / 'no.pth'), r'no\.pth cannot be read'),
        (detector, dict(out=tmp_path / 'file' / 'a.onnx', check=False), 'cannot be written'),
        (soft, {}, 'soft_nms.*--no-nms'),
        (torch.nn.Identity(), {}, 'Identity cannot be exported'),
    ):
        with pytest.raises(InputError, match=said) as caught:
            export_onnx(given, **{'out': out, **options})
        assert '\n' not in str(caught.value)
    assert not out.exists()


@pytest.mark.parametrize('package', ['onnx', 'onnxruntime'])
def test_without_the_package_it_says_what_to_install(
    detector: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"need the package {package}: pip install 'mmdark\[onnx\]'$"):
        export_onnx(detector, tmp_path / 'a.onnx')
    assert list(tmp_path.iterdir()) == []
