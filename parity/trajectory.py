"""Steps of training beside those of the authors' code, through our own optimizer configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from torch import Tensor

from mmdark.apis import config_path

from .comparison import Comparison, compare
from .golden import GoldenCase
from .networks import AS_PUBLISHED, build_dai_net, data_samples
from .recipe import dark_image, light_image

STEP = 1e-3
OPTIMIZERS = {'l2norm_frozen': AS_PUBLISHED, 'l2norm_trained': 'dsfd_dark_wider.py'}
"""The setting of a run → the config whose ``optim_wrapper`` says so."""


def check_trajectory(case: GoldenCase, device: str = 'cpu') -> Iterator[Comparison]:
    """A ``trajectory_`` case: total loss and gradient norm before clipping, step by step."""
    for setting, golden in case.record['runs'].items():
        optimizer = Config.fromfile(config_path(OPTIMIZERS[setting])).optim_wrapper
        configured = dict(
            momentum=optimizer.optimizer.momentum,
            weight_decay=optimizer.optimizer.weight_decay,
            reflectance_lr_mult=optimizer.paramwise_cfg.custom_keys.reflectance_decoder.lr_mult,
            clip=optimizer.clip_grad.max_norm,
        )
        for name, value in configured.items():
            yield compare(case.name, f'{setting} {name}', case.record[name], value, 0.0)
        for quantity, ours in _train(case.record, optimizer, len(golden['total_loss']), device).items():
            for step, (expected, value) in enumerate(zip(golden[quantity], ours, strict=True)):
                yield compare(case.name, f'{setting} {quantity} step {step}', expected, value, STEP)


@contextmanager
def _two_threads() -> Iterator[None]:
    """The golden steps come back to 1e-4 with two threads; with one, sums of another order are 1e-3 off by step 3."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_two_threads()
def _train(record: dict, optimizer: ConfigDict, steps: int, device: str) -> dict[str, list[float]]:
    """Steps as the Runner takes them: preprocessor, losses, backward, clipping, update."""
    model = build_dai_net().to(device)
    optimizer.optimizer.lr = record['lr']
    hub = MessageHub.get_current_instance()
    optim_wrapper = build_optim_wrapper(model, optimizer)
    run: dict[str, list[float]] = dict(total_loss=[], grad_norm=[])
    for step in range(steps):
        light = light_image(record['seed'] + step, 1, record['height'], record['width'])
        dark = dark_image(light, record['seed'] + 100 + step)
        data = dict(inputs=dict(light=_as_loaded(light), dark=_as_loaded(dark)), data_samples=data_samples(record))
        losses = model.train_step(data, optim_wrapper)
        run['total_loss'].append(losses['loss'].item())
        run['grad_norm'].append(float(hub.get_scalar('train/grad_norm').current()))
    return run


def _as_loaded(images: Tensor) -> list[Tensor]:
    """RGB in [0, 1] as a pipeline gives images: BGR, 0-255."""
    return list(images.flip(1) * 255.0)
