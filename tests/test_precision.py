"""What runs in bfloat16 and what does not, that every mode trains alike, and that no parameter goes unused."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmdark.engine import Bfloat16OptimWrapper
from tests.engine.world_losses import losses
from tests.models.tiny_models import CONFIGS, pair_of, samples_of, tiny_dai_net
from tests.tiny_wider import write_wider

FACES = ([[10.0, 12, 30, 34], [60, 20, 70, 32]], [])
IN_BFLOAT16 = {
    *('convolution', 'relu', 'relu_', 'max_pool2d_with_indices', 'cat', 'upsample_bilinear2d', 'upsample_nearest2d'),
    *('replication_pad2d', 'constant_pad_nd', 'mul'),  # mul: the top-down path times the lateral map
    *('pixel_shuffle', 'pixel_unshuffle'),
    *('_to_copy', 'detach', 'split', 'view', 'permute', 'select', 'slice', 'clone', '_unsafe_view', 't', 'alias'),
    *('convolution_backward', 'threshold_backward', 'max_pool2d_with_indices_backward', 'add'),
    *('upsample_bilinear2d_backward', 'upsample_nearest2d_backward', 'replication_pad2d_backward'),
}
"""All that may come out as bfloat16: convolutions, and what chooses, moves or weighs their answers."""


class Half(TorchDispatchMode):
    """Collects each operation with a bfloat16 answer, with the line of mmdark or mmdet that asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, str] = {}

    def __torch_dispatch__(self, func: object, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        answer = func(*args, **(kwargs or {}))
        for each in answer if isinstance(answer, (tuple, list)) else (answer,):
            if isinstance(each, Tensor) and each.dtype in (torch.bfloat16, torch.float16):
                lines = [f for f in traceback.extract_stack() if 'mmdark/' in f.filename or 'mmdet/' in f.filename]
                self.seen[func.overloadpacket.__name__] = f'{lines[-1].filename}:{lines[-1].lineno}' if lines else ''
        return answer


def raw_batch() -> dict:
    """Light images as the loader gives them."""
    rng = np.random.default_rng(0)
    images = [torch.from_numpy(rng.integers(0, 256, (3, 64, 96), dtype=np.uint8)) for _ in range(2)]
    return dict(inputs=images, data_samples=samples_of(*FACES))


@pytest.mark.parametrize('teacher', ['retinex', 'max_rgb'])
def test_a_step_in_bfloat16(teacher: str) -> None:
    """DarkISP on the device, matching, softmax, KL, SSIM, powers and norms stay float32; gradients are finite."""
    model = tiny_dai_net(teacher)
    model.data_preprocessor.dark_isp = 'corrected'
    wrapper = Bfloat16OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.0))
    seen: list[dict] = []
    loss = model.loss

    def spy(inputs: dict, samples: list) -> dict:
        seen.append(inputs)
        return loss(inputs, samples)

    kept = {}
    with patch.object(model, 'loss', spy), patch.object(wrapper, 'zero_grad', lambda: None), Half() as half:
        torch.manual_seed(3)
        kept['mixed'] = model.train_step(raw_batch(), wrapper)
    assert 'convolution' in half.seen
    assert {name: line for name, line in half.seen.items() if name not in IN_BFLOAT16} == {}
    with torch.no_grad():
        torch.manual_seed(3)
        batch = model.data_preprocessor(raw_batch(), True)
        kept['exact'] = model.parse_losses(loss(**_renamed(batch)))[1]
    for name in ('light', 'dark'):
        assert seen[0][name].dtype == torch.float32 and torch.equal(seen[0][name], batch['inputs'][name])
    assert {value.dtype for value in kept['mixed'].values()} == {torch.float32}
    for name, value in kept['exact'].items():
        assert float(kept['mixed'][name].detach()) == pytest.approx(float(value), rel=0.03, abs=1e-5), name
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad.dtype == torch.float32 and torch.isfinite(p.grad).all() for p in trained)


def _renamed(batch: dict) -> dict:
    return dict(batch_inputs=batch['inputs'], batch_data_samples=batch['data_samples'])


MODES = {
    'bfloat16': ({'optim_wrapper.type': 'Bfloat16OptimWrapper'}, 0.05),
    'channels last': ({'custom_hooks': [{'type': 'ChannelsLast'}]}, 1e-4),
    'bfloat16, channels last': (
        {'optim_wrapper.type': 'Bfloat16OptimWrapper', 'custom_hooks': [{'type': 'ChannelsLast'}]},
        0.05,
    ),
    'compiled': ({'custom_hooks': [{'type': 'CompileParts', 'backend': 'eager'}]}, 1e-4),
}
"""Options, and how far the total loss may be from that in float32; a single term may be five times as far."""


def history(root: Path, work_dir: Path, options: dict) -> list[dict[str, float]]:
    more = {'input_size': 96, 'train_cfg.max_iters': 10, 'train_dataloader.batch_size': 2}
    return losses(f'{root}/', str(work_dir), {**more, **options})


@pytest.fixture(scope='module')
def float32(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, float]]]:
    """Images, and the losses of ten iterations on them."""
    root = write_wider(tmp_path_factory.mktemp('wider') / 'data', train=8, val=1)
    return root, history(root, tmp_path_factory.mktemp('float32'), {})


@pytest.mark.parametrize('mode', MODES)
def test_ten_iterations(mode: str, float32: tuple[Path, list[dict[str, float]]], tmp_path: Path) -> None:
    (root, wanted), (options, tolerance) = float32, MODES[mode]
    found = history(root, tmp_path, options)
    assert len(found) == len(wanted) == 10
    assert all(np.isfinite(list(each.values())).all() for each in found)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours['loss'] == pytest.approx(theirs['loss'], rel=tolerance)
        assert ours == pytest.approx(theirs, rel=5 * tolerance, abs=1e-6)
    if 'bfloat16' in mode:
        assert found[0] != pytest.approx(wanted[0], rel=1e-6)  # it did run in another precision


def _detector_type(path: Path) -> str | None:
    """Of the detector itself, or of the one in DAI-Net."""
    model = Config.fromfile(path).get('model', {})
    return model.get('detector', model).get('type')


DETECTORS = sorted(
    path for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts and _detector_type(path) == 'DSFD'
)


def narrow(model: dict) -> nn.Module:
    """The detector of a config, an eighth as wide and without weight files."""
    detector = model.get('detector', model)
    detector.backbone.update(widen_factor=0.125, init_cfg=dict(type='Kaiming', layer='Conv2d'))
    backbone = MODELS.build(detector.backbone)
    detector.neck.in_channels = list(backbone.out_channels)
    for shot in ('first_shot', 'second_shot'):
        detector.bbox_head[shot].in_channels = list(backbone.out_channels)
    if model.get('enhancer') is not None:
        model.reflectance_decoder.in_channels = backbone.shallow_channels
        model.enhancer.pop('init_cfg', None)
        if model.enhancer.type == 'RetinexNet':
            model.enhancer.channels = 4
    return MODELS.build(model).train()


def check_every_parameter_learns(model: nn.Module) -> None:
    inputs = pair_of() if hasattr(model, 'enhancer') else pair_of()['dark']
    model.parse_losses(model.loss(inputs, samples_of(*FACES)))[0].backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    assert [name for name, p in model.named_parameters() if not p.requires_grad and not name.startswith('enh')] == []


def kinds(paths: Iterable[Path]) -> dict[str, Path]:
    """One config of each different model."""
    return {repr(Config.fromfile(path).model): path for path in paths}


@pytest.mark.parametrize('path', kinds(DETECTORS).values(), ids=lambda path: path.stem)
def test_no_config_needs_find_unused_parameters(path: Path) -> None:
    """Each trained parameter gets a gradient in every step, which is what several processes wait for."""
    cfg = Config.fromfile(path)
    assert not cfg.get('find_unused_parameters', False)
    check_every_parameter_learns(narrow(cfg.model))


@pytest.mark.parametrize('loss', ['all', 'mutual', 'decomposition', 'coherence'])
def test_nor_do_losses_of_weight_zero(loss: str) -> None:
    model = Config.fromfile(CONFIGS / 'dsfd_dark_wider.py').model
    for name in model.losses if loss == 'all' else [loss]:
        model.losses[name].loss_weight = 0.0
    check_every_parameter_learns(narrow(model))
