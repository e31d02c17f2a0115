"""Training of the teacher: the published losses, who learns from them, and checkpoints that become teachers."""

from __future__ import annotations

import math
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mmdark.adaptation import RetinexNet, RetinexTraining
from mmdark.apis import convert_file, load_config
from mmdark.models.published_weights import load_published
from tests.models.tiny_models import pair_of, samples_of
from tests.tiny_wider import ROOT, write_wider

CONFIG = ROOT / 'configs' / 'retinex' / 'retinexnet_wider.py'
CHANNELS = 4
SMALL = {
    'model.net.channels': CHANNELS,
    'train_dataloader.batch_size': 2,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'train_dataloader.dataset.pipeline.1.crop_size': (24, 24),
}


def small_training(channels: int = CHANNELS) -> RetinexTraining:
    """The config's model with a narrow net, from fixed weights that tell light from dark."""
    cfg = Config.fromfile(CONFIG).model
    cfg.net.channels = channels
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.15 if parameter.dim() > 1 else 0.3)
    return model.train()


def gradient(image: np.ndarray, axis: str) -> np.ndarray:
    """Differences by the published 2x2 kernels, cell by cell, over an image with a border of zeros."""
    kernel = np.array([[0.0, 0.0], [-1.0, 1.0]])
    kernel = kernel if axis == 'x' else kernel.T
    padded = np.pad(image, 1)
    rows, columns = padded.shape[0] - 1, padded.shape[1] - 1
    cells = [[(padded[i : i + 2, j : j + 2] * kernel).sum() for j in range(columns)] for i in range(rows)]
    return np.abs(cells)


def mean_of_nine(image: np.ndarray) -> np.ndarray:
    padded = np.pad(image, 1)
    rows, columns = image.shape
    return np.array([[padded[i : i + 3, j : j + 3].mean() for j in range(columns)] for i in range(rows)])


def smoothness(illumination: np.ndarray, reflectance: np.ndarray) -> float:
    total = 0.0
    for light, colours in zip(illumination[:, 0], reflectance, strict=True):
        grey = 0.299 * colours[0] + 0.587 * colours[1] + 0.114 * colours[2]
        for axis in 'xy':
            total += (gradient(light, axis) * np.exp(-10 * mean_of_nine(gradient(grey, axis)))).mean()
    return total / len(illumination)


def test_losses_are_the_published_ones() -> None:
    """By loops over pixels in NumPy, with the published weights 1, 0.001, 0.01 and 0.1."""
    model, pair = small_training(), pair_of(size=(7, 9))
    light, dark = (pair[kind].double().numpy() for kind in ('light', 'dark'))
    with torch.no_grad():
        (r_light, i_light), (r_dark, i_dark) = (
            [part.double().numpy() for part in model(pair[kind])] for kind in ('light', 'dark')
        )
    expected = dict(
        loss_reconstruction=np.abs(r_light * i_light - light).mean() + np.abs(r_dark * i_dark - dark).mean(),
        loss_mutual_reconstruction=0.001
        * (np.abs(r_dark * i_light - light).mean() + np.abs(r_light * i_dark - dark).mean()),
        loss_consistency=0.01 * np.abs(r_dark - r_light).mean(),
        loss_smoothness=0.1 * (smoothness(i_light, r_light) + smoothness(i_dark, r_dark)),
    )
    losses = model(pair, mode='loss')
    assert losses.keys() == expected.keys()
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected, rel=1e-5)
    assert len({round(value, 6) for value in expected.values()}) == 4


def test_the_dark_reflectance_learns_from_the_light_one() -> None:
    """The gradient is that of the distance to a fixed light reflectance."""
    model, pair = small_training(), pair_of(size=(9, 9))
    weight = model.net.exit.weight
    (gradient,) = torch.autograd.grad(model(pair, mode='loss')['loss_consistency'], weight)
    with torch.no_grad():
        target = model(pair['light']).reflectance
    distance = 0.01 * (model(pair['dark']).reflectance - target).abs().mean()
    assert gradient.abs().max() > 0
    torch.testing.assert_close(gradient, torch.autograd.grad(distance, weight)[0])


def test_every_weight_learns_and_the_images_do_not() -> None:
    model, pair = small_training(), pair_of(size=(12, 12))
    sum(model(pair, mode='loss').values()).backward()
    assert {name.split('.')[0] for name, _ in model.named_parameters()} == {'net'}
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())
    assert not any(image.requires_grad for image in pair.values())


def test_other_modes_are_refused() -> None:
    model = small_training()
    with pytest.raises(ValueError, match="must be 'loss' or 'tensor', got 'predict'"):
        model(pair_of(), mode='predict')


def test_steps_make_reflectance_times_illumination_the_image() -> None:
    """A grey ramp and its darkness, new in each step."""
    model = small_training(8)
    for conv in (model.net.entry, *model.net.hidden, model.net.exit):
        conv.reset_parameters()
    optimizer = OptimWrapper(torch.optim.Adam(model.parameters(), 3e-3))
    ramp = torch.linspace(20, 250, 24).expand(3, 24, 24).byte()
    data = dict(inputs=[ramp, ramp.mT], data_samples=samples_of([], [], size=(24, 24)))
    logs = [model.train_step(data, optimizer) for _ in range(90)]
    first, last = (sum(log['loss_reconstruction'].item() for log in part) / 10 for part in (logs[:10], logs[-10:]))
    assert last < first / 3


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor], dict[str, Tensor]]:
    """A run of three iterations: the checkpoint, and the net's weights before and after."""
    folder = tmp_path_factory.mktemp('retinex')
    options = {'data_root': f'{write_wider(folder / "wider")}/', 'max_iters': 3, 'param_scheduler.T_max': 3, **SMALL}
    options['default_hooks.checkpoint.interval'] = 3
    cfg = load_config(str(CONFIG), options, str(folder / 'work'))
    cfg.update(experiment_name=uuid4().hex, log_level='WARNING')
    runner = Runner.from_cfg(cfg)
    before = {name: value.clone() for name, value in runner.model.net.state_dict().items()}
    runner.train()
    assert not runner.model.net.frozen and runner.model.net.training
    return folder / 'work' / 'iter_3.pth', before, runner.model.net.state_dict()


def test_a_runner_trains_it(trained: tuple[Path, dict[str, Tensor], dict[str, Tensor]]) -> None:
    _, before, after = trained
    assert all(torch.isfinite(value).all() for value in after.values())
    assert all(not torch.equal(before[name], value) for name, value in after.items())


def test_a_checkpoint_is_a_teacher(trained: tuple[Path, dict[str, Tensor], dict[str, Tensor]]) -> None:
    """As ``model.enhancer.init_cfg.checkpoint`` of a detector it fills a teacher, which is frozen."""
    path, _, after = trained
    init = dict(type='PublishedWeights', checkpoint=str(path), source='here', without='nothing')
    teacher = RetinexNet(CHANNELS, init_cfg=init)
    teacher.init_weights()
    assert teacher.frozen and not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(torch.equal(value, after[name]) for name, value in teacher.state_dict().items())


def test_a_teacher_goes_back_to_the_published_code(tmp_path: Path) -> None:
    """As wide as published, a checkpoint is written as ``decomp.pth``, and that is the same teacher."""
    model = small_training(64)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'iter.pth')
    convert_file(tmp_path / 'iter.pth', tmp_path / 'decomp.pth', reverse=True, model='retinexnet')
    published = torch.load(tmp_path / 'decomp.pth', weights_only=True)
    assert len(published) == 14 and torch.equal(published['DecomNet.net1_recon.bias'], model.net.exit.bias)
    teacher = RetinexNet()
    load_published(teacher, str(tmp_path / 'decomp.pth'))
    assert all(torch.equal(value, model.net.state_dict()[name]) for name, value in teacher.state_dict().items())


def test_the_config_is_the_published_recipe() -> None:
    """Losses, patches and batch of RetinexNet; the darkness that the detectors train with."""
    cfg = Config.fromfile(CONFIG)
    weights = {name: loss.loss_weight for name, loss in cfg.model.items() if name.startswith('loss_')}
    assert [*weights.values(), cfg.model.smoothness_weight] == [1.0, 0.001, 0.01, 0.1]
    assert cfg.train_dataloader.dataset.pipeline[1].crop_size == (48, 48) and cfg.train_dataloader.batch_size == 16
    assert cfg.model.data_preprocessor.dark_isp == 'corrected'
    assert cfg.param_scheduler.T_max == cfg.train_cfg.max_iters
    assert cfg.default_hooks.sqrt_scale_lr.base_batch_size == 16  # its learning rate is meant for that batch
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert sum(map(Tensor.numel, model.parameters())) == 207748 and math.prod(model.net.entry.weight.shape) == 20736
