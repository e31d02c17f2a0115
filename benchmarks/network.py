"""A step of training and a test forward, without a Runner around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.functional import structural_similarity_index_measure as ssim

from mmdark.apis import enable_amp, to_published
from mmdark.errors import InputError
from mmdark.models.published_files import identify

from .head import published_targets
from .inputs import as_tensor, data_samples, faces_of, photos_of, rgb_batch
from .machine import Settings
from .measure import Case, Work
from .model import build_model, count_flops, is_published, limit_candidates, read_config
from .published import published_part, use_checkout

CANDIDATES = 300
"""Priors over the threshold in an image of ``test``, about as many as a photograph with a few dozen faces has."""
DARKNESS = 0.1
PUBLISHED_MAX_NORM = 35
STANDSTILL = 0.0
"""Learning rate: the optimizer does all its work, and each step finds the same weights."""


def our_step(settings: Settings) -> Work:
    """``train_step``: data preprocessor, teacher, losses, backward, optimizer; with ``data_root`` the loader, too.

    The sum of the PAL losses is compared.
    """
    cfg = read_config(settings)
    if settings.amp:
        enable_amp(cfg)
    model = build_model(cfg, settings).train()
    cfg.optim_wrapper.optimizer.lr = STANDSTILL
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    if wrapper.clip_grad_kwargs:
        wrapper.clip_func = _without_answer(wrapper.clip_func)
    batch = settings.batch(1, 16)
    next_batch = _batches(cfg, settings, batch)

    def step() -> Tensor:
        losses = model.train_step(next_batch(), wrapper)
        return sum(value.detach() for name, value in losses.items() if name.startswith('pal'))

    return Work(step, batch, count_flops(step, settings))


def our_forward(settings: Settings) -> Work:
    """``test_step``: data preprocessor, network, decoding, suppression; the number of detections is compared."""
    model = build_model(read_config(settings), settings).eval()
    batch = settings.batch(1, 16)
    samples = data_samples([np.zeros((0, 4), np.float32)] * batch, settings.size)
    data = dict(inputs=[as_tensor(image) for image in photos_of(settings, batch)], data_samples=samples)

    def forward() -> int:
        with torch.no_grad(), torch.autocast(settings.device, torch.bfloat16, enabled=settings.amp):
            return sum(len(sample.pred_instances) for sample in model.test_step(data))

    convs = [part[-1] for part in getattr(model, 'detector', model).bbox_head.second_shot.cls_convs]
    limit_candidates(convs, 0, forward, CANDIDATES)
    return Work(forward, batch, count_flops(forward, settings))


def published_step(settings: Settings, checkout: Path) -> Work:
    """The published step on one GPU or a CPU, without the wrapper for several; with autograd in the teacher."""
    use_checkout(checkout, settings.device)
    batch = settings.batch(1, 16, published=True)
    net, teacher = published_part('models/factory.py')('train', 2, 'dark'), published_part('models/enhancer.py')()
    for part, weights in zip((net, teacher), _our_weights(settings), strict=True):
        part.load_state_dict(weights)
        part.to(settings.device)
    net.train()
    teacher.eval()
    criterion = published_part('layers/modules/multibox_loss.py')(
        published_part('data/config.py'), settings.device == 'cuda'
    )
    enhance = published_part('layers/modules/enhance_loss.py')()
    optimizer = torch.optim.SGD(net.parameters(), lr=STANDSTILL, momentum=0.9, weight_decay=5e-4)
    light = rgb_batch(settings, batch)
    dark = light * DARKNESS
    targets = published_targets(faces_of(settings, batch), settings)

    def step() -> Tensor:
        (taught_dark, lit_dark), (taught_light, lit_light) = teacher(dark), teacher(light)
        found, decoded, mutual = net(dark, light, lit_dark.detach(), lit_light.detach())
        detection = sum(sum(criterion(shot, targets)) for shot in (found[:3], found[3:]))
        total = detection + mutual + 0.1 * enhance([*decoded, lit_dark.detach(), lit_light.detach()], light, dark)
        for ours, theirs in ((decoded[0], taught_dark.detach()), (decoded[1], taught_light.detach())):
            total = total + F.l1_loss(ours, theirs) + 1 - ssim(ours, theirs)
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(net.parameters(), PUBLISHED_MAX_NORM)
        optimizer.step()
        return detection.detach()

    return Work(step, batch)


def published_forward(settings: Settings, checkout: Path) -> Work:
    """The published ``test_forward``, with its detections."""
    use_checkout(checkout, settings.device)
    batch = settings.batch(1, 16, published=True)
    net = published_part('models/factory.py')('test', 2, 'dark')
    net.load_state_dict(_our_weights(settings)[0])
    net.to(settings.device).eval()
    images = rgb_batch(settings, batch)
    torch.set_default_device(settings.device)  # as its test script does

    @torch.no_grad()
    def forward() -> Tensor:
        return (net.test_forward(images)[0][..., 0] > 0).sum()

    limit_candidates(list(net.conf_pal2), 1, forward, CANDIDATES)
    return Work(forward, batch)


def _our_weights(settings: Settings) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What our side starts with, under the published names: of the detector and of the teacher.

    Raises:
        InputError: the config is of another network, so that a ratio would mean nothing.
    """
    model = build_model(read_config(settings), replace(settings, device='cpu'))
    if not is_published(model):
        raise InputError(
            f'--against: {settings.config} is not the network of the published code; train and test compare '
            'configs/dsfd_dark_wider.py, and what has the same layers'
        )
    weights = model.state_dict()
    teacher = {name.removeprefix('enhancer.'): value for name, value in weights.items() if name.startswith('enhancer.')}
    return to_published(identify(weights))[1], to_published(identify(teacher))[1]


def _batches(cfg: Config, settings: Settings, batch: int) -> Callable[[], dict]:
    """Gives the next batch: from the loader if there are images, else the same random one each time."""
    if settings.data_root:
        loader = cfg.train_dataloader
        loader.update(batch_size=batch, num_workers=settings.workers, persistent_workers=settings.workers > 0)
        return _endless(Runner.build_dataloader(loader, seed=settings.seed)).__next__
    return random_batches(cfg, settings, batch)


def random_batches(cfg: Config, settings: Settings, batch: int) -> Callable[[], dict]:
    """Gives the same random batch each time, as a loader gives it."""
    light = [as_tensor(image) for image in photos_of(settings, batch)]
    in_pairs = 'detector' in cfg.model and not (cfg.model.get('data_preprocessor') or {}).get('dark_isp')
    samples = data_samples(faces_of(settings, batch), settings.size)
    inputs = dict(light=light, dark=[image * DARKNESS for image in light]) if in_pairs else light
    return lambda: dict(inputs=inputs, data_samples=samples)


def _without_answer(clip: Callable[..., object]) -> Callable[..., None]:
    """Clipping whose norm nobody reads, as in a training, where ``WorldRuntimeInfo`` reads it later."""

    def clip_alone(*args: object, **kwargs: object) -> None:
        clip(*args, **kwargs)

    return clip_alone


def _endless(loader: torch.utils.data.DataLoader) -> Iterator[dict]:
    while True:
        yield from loader


STEP = Case('training step', our_step, published_step, modes=('amp', 'channels_last', 'compile'))
FORWARD = Case('test forward with detections', our_forward, published_forward, modes=('amp', 'channels_last'))
