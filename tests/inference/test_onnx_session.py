"""The detector that comes with mmdark finds in ONNX Runtime what it finds in PyTorch."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmdark.apis import FaceInferencer, load_config
from mmdark.errors import InputError
from mmdark.inference import DetectionResult, onnx_session, shipped_weights
from mmdark.inference.weights import SHIPPED
from mmdark.models.published_files import weight_path
from tests.tiny_wider import ROOT

onnx = pytest.importorskip('onnx', reason='the extra onnx is not installed')
pytest.importorskip('onnxruntime', reason='the extra onnx is not installed')

PORTRAITS = cv2.imread(str(ROOT / 'docs' / 'images' / 'dark_portraits.jpg'))
OPTIONS = dict(device='cpu', show_progress=False)


@pytest.fixture(scope='module')
def by_torch() -> FaceInferencer:
    return FaceInferencer(backend='torch', **OPTIONS)


def uses_onnx(inferencer: FaceInferencer) -> bool:
    """Whether it computes without the model in PyTorch."""
    calls = []
    hook = inferencer.model.backbone.register_forward_pre_hook(lambda *_: calls.append(1))
    inferencer(PORTRAITS[:64, :64])
    hook.remove()
    return not calls


def assert_same(one: DetectionResult, other: DetectionResult) -> None:
    """Box by box, in any order: of scores that differ by rounding alone either may be the first."""
    assert len(one) == len(other) > 0
    distances = np.abs(one.boxes[:, None] - other.boxes[None]).max(axis=2)
    nearest = distances.argmin(axis=1)
    assert sorted(nearest) == list(range(len(one)))
    assert distances.min(axis=1).max() < 0.5 and np.abs(one.scores - other.scores[nearest]).max() < 1e-3


@pytest.mark.parametrize('tta', [None, False])
def test_it_is_the_default_on_cpus_and_finds_the_same(by_torch: FaceInferencer, tta: bool | None) -> None:
    default = FaceInferencer(**OPTIONS)
    assert uses_onnx(default) and not uses_onnx(by_torch)
    assert not uses_onnx(FaceInferencer(amp=True, **OPTIONS))
    half = cv2.resize(PORTRAITS, None, fx=0.5, fy=0.5)
    images = [half, half[:, ::-1].copy(), PORTRAITS[: PORTRAITS.shape[0] // 2]]
    options = dict(batch_size=3, pred_score_thr=0.1, tta=tta)
    found, wanted = (one(images, **options)['predictions'] for one in (default, by_torch))
    for one, other in zip(found, wanted, strict=True):
        assert_same(one, other)
    assert (found[0].boxes[:1] != found[1].boxes[:1]).any()


def test_its_weights_are_those_of_pytorch(by_torch: FaceInferencer) -> None:
    """Stored in half precision, as in the .pth: of each convolution of the backbone the very numbers."""
    file = onnx.load(shipped_weights().with_suffix('.onnx'))
    assert shipped_weights().with_suffix('.onnx').stat().st_size <= 6e6
    stored = [onnx.numpy_helper.to_array(one) for one in file.graph.initializer]
    halves = {(*one.shape, float(one.astype(np.float64).sum())) for one in stored if one.dtype == np.float16}
    weights = [value.numpy() for name, value in by_torch.model.state_dict().items() if value.dim() == 4]
    assert len(weights) > 60
    assert {(*one.shape, float(one.astype(np.float64).sum())) for one in weights if one.size >= 256} <= halves


def test_other_thresholds_are_not_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = load_config(SHIPPED, {'model.test_cfg.score_thr': 0.3})
    given = dict(model=cfg, weights=shipped_weights(), **OPTIONS)
    assert not uses_onnx(FaceInferencer(**given))
    with pytest.raises(InputError, match=r'other thresholds or sizes than the config'):
        FaceInferencer(backend='onnxruntime', **given)
    resized = Config(cfg.to_dict(), filename=cfg.filename)
    resized.model.test_cfg.score_thr = 0.02
    assert onnx_session.OnnxSession(shipped_weights(), resized).same_settings
    resized.test_dataloader.dataset.pipeline[1] = dict(type='Rotate')
    assert not onnx_session.OnnxSession(shipped_weights(), resized).same_settings


def test_a_pipeline_that_resizes_gives_what_pytorch_gives() -> None:
    cfg = load_config(SHIPPED)
    cfg.test_dataloader.dataset.pipeline[1].scale_factor = 0.5
    given = dict(model=cfg, weights=shipped_weights(), **OPTIONS)
    one, other = FaceInferencer(**given), FaceInferencer(backend='torch', **given)
    assert uses_onnx(one)
    assert_same(*(each(PORTRAITS, pred_score_thr=0.1, tta=False)['predictions'][0] for each in (one, other)))


def test_weights_of_a_persons_own_need_their_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / 'mine.pth'
    shutil.copy(shipped_weights(), weights)
    given = dict(weights=weights, backend='onnxruntime', **OPTIONS)
    with pytest.raises(InputError, match=r'mine\.onnx does not exist: make it with mmdark export .*mine\.pth'):
        FaceInferencer(**given)
    (tmp_path / 'mine.onnx').write_bytes(b'not a graph')
    with pytest.raises(InputError, match=r'mine\.onnx cannot be read by ONNX Runtime'):
        FaceInferencer(**given)
    shutil.copy(shipped_weights().with_suffix('.onnx'), tmp_path / 'mine.onnx')
    assert uses_onnx(FaceInferencer(**given))
    shutil.copy(weight_path('mmdark://dsfd_dark_lite_wider.pth'), weights)
    with pytest.raises(InputError, match=r'mine\.onnx was not made of mine\.pth as it is now'):
        FaceInferencer(**given)
    with pytest.raises(InputError, match=r"backend='onnx': give one of auto, torch, onnxruntime"):
        FaceInferencer(backend='onnx', **OPTIONS)
    with pytest.raises(InputError, match='leave out device and amp'):
        FaceInferencer(backend='onnxruntime', amp=True, **OPTIONS)
    monkeypatch.setattr(onnx_session, 'find_spec', lambda name: None)
    with pytest.raises(InputError, match=r"needs the package onnxruntime: pip install 'mmdark\[onnx\]'"):
        FaceInferencer(**given)


def test_without_onnx_runtime_pytorch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_session, 'find_spec', lambda name: None)
    assert not uses_onnx(FaceInferencer(**OPTIONS))


def test_too_large_an_image_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    inferencer = FaceInferencer(**OPTIONS)

    class Full:
        def run(self, *_: object) -> None:
            raise Exception('[ONNXRuntimeError] : Failed to allocate memory for requested buffer of size 9663676416')

    inferencer._detection.computes.session = Full()
    (broken,) = inferencer(PORTRAITS)['predictions']
    assert 'too large for the memory' in broken.reason
