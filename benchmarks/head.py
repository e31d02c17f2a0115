"""What follows the network: matching with the PAL losses of one shot, and detections; the same maps for both sides."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from .inputs import data_samples, faces_of
from .machine import Settings
from .measure import Case, Work
from .model import SCORE_THRESHOLD, read_config
from .published import published_part, use_checkout

STRIDES = (4, 8, 16, 32, 64, 128)
FACE_FIRST = [1, 0]
"""The published order of the classes is background, face; MMDetection's is face, background."""


def our_loss(settings: Settings) -> Work:
    """``PALHead.loss_by_feat`` of the second shot, and its gradients."""
    batch = settings.batch(4, 16)
    head = _second_shot(settings).train()
    scores, deltas = _maps(settings, batch)
    samples = data_samples(faces_of(settings, batch), settings.size)
    instances = [sample.gt_instances.to(settings.device) for sample in samples]
    metas = [sample.metainfo for sample in samples]

    def step() -> Tensor:
        for one in (*scores, *deltas):
            one.grad = None
        losses = head.loss_by_feat(scores, deltas, instances, metas)
        total = sum(sum(value) if isinstance(value, list) else value for value in losses.values())
        total.backward()
        return total.detach()

    return Work(step, images=batch)


def published_loss(settings: Settings, checkout: Path) -> Work:
    """``MultiBoxLoss`` of one shot, and its gradients."""
    use_checkout(checkout, settings.device)
    batch = settings.batch(4, 16, published=True)
    on_gpu = settings.device == 'cuda'
    criterion = published_part('layers/modules/multibox_loss.py')(published_part('data/config.py'), on_gpu)
    scores, deltas = (_published_order(maps, settings.device) for maps in _maps(settings, batch))
    priors = published_priors(settings)
    targets = published_targets(faces_of(settings, batch), settings)

    def step() -> Tensor:
        scores.grad = deltas.grad = None
        total = sum(criterion((deltas, scores, priors), targets))
        total.backward()
        return total.detach()

    return Work(step, images=batch)


def our_detections(settings: Settings, candidates: int) -> Work:
    """``PALHead.predict_by_feat``; the number of detections is compared."""
    batch = settings.batch(1, 16)
    head = _second_shot(settings).eval()
    scores, deltas = _maps(settings, batch, candidates)
    metas = [sample.metainfo for sample in data_samples(faces_of(settings, batch), settings.size)]

    @torch.no_grad()
    def detect() -> int:
        return sum(map(len, head.predict_by_feat(scores, deltas, batch_img_metas=metas, rescale=True)))

    return Work(detect, images=batch)


def published_detections(settings: Settings, checkout: Path, candidates: int) -> Work:
    """``Detect``, with the softmax before it."""
    use_checkout(checkout, settings.device)
    batch = settings.batch(1, 16, published=True)
    detector = published_part('layers/functions/detection.py')(published_part('data/config.py'))
    scores, deltas = (_published_order(maps, settings.device) for maps in _maps(settings, batch, candidates))
    priors = published_priors(settings).to(settings.device)
    torch.set_default_device(settings.device)  # as its test script does

    @torch.no_grad()
    def detect() -> Tensor:
        return (detector.forward(deltas, scores.softmax(-1), priors)[..., 0] > 0).sum()

    return Work(detect, images=batch)


def published_priors(settings: Settings) -> Tensor:
    """Of the second shot, ``(priors, 4)``."""
    side = settings.size
    build = published_part('layers/functions/prior_box.py')
    return build(
        (side, side), [[rows, rows] for rows in _rows(side)], published_part('data/config.py'), pal=2
    ).forward()


def published_targets(boxes: list[np.ndarray], settings: Settings) -> list[Tensor]:
    """Faces in fractions of the image, with the class of a face behind, ``(faces, 5)`` each."""
    rows = [np.concatenate([each / settings.size, np.ones((len(each), 1))], axis=1) for each in boxes]
    return [torch.from_numpy(each.astype(np.float32)).to(settings.device) for each in rows]


def _second_shot(settings: Settings) -> nn.Module:
    model = read_config(settings).model
    model = model.get('detector', model)
    shared = dict(train_cfg=model.train_cfg, test_cfg=model.test_cfg)
    return MODELS.build({**model.bbox_head.second_shot, **shared}).to(settings.device)


def _rows(size: int) -> list[int]:
    """Of each map."""
    return [-(-size // stride) for stride in STRIDES]


def _maps(settings: Settings, batch: int, candidates: int | None = None) -> tuple[list[Tensor], list[Tensor]]:
    """Class scores ``(B, 2, h, w)``, face first, and box deltas ``(B, 4, h, w)`` of each level, both random.

    With ``candidates``, so many priors of each image pass the threshold, wherever they lie.
    """
    source = torch.Generator().manual_seed(settings.seed)
    rows = _rows(settings.size)
    scores = [torch.randn(batch, 2, side, side, generator=source) for side in rows]
    deltas = [torch.randn(batch, 4, side, side, generator=source) for side in rows]
    if candidates is not None:
        margins = torch.cat([(level[:, 0] - level[:, 1]).flatten(1) for level in scores], dim=1)
        last = margins.topk(min(candidates, margins.shape[1]), dim=1).values[:, -1]
        shift = torch.logit(torch.tensor(SCORE_THRESHOLD)) + 1e-4 - last
        for level in scores:
            level[:, 0] += shift[:, None, None]
    on_device = ([level.to(settings.device).requires_grad_() for level in maps] for maps in (scores, deltas))
    return tuple(on_device)


def _published_order(maps: list[Tensor], device: str) -> Tensor:
    """Level, row, column: ``(B, priors, values)``, with the background before the face."""
    flat = torch.cat([level.detach().permute(0, 2, 3, 1).flatten(1, 2) for level in maps], dim=1)
    flat = flat[..., FACE_FIRST] if flat.shape[-1] == len(FACE_FIRST) else flat
    return flat.contiguous().to(device).requires_grad_()


LOSS = Case('matching and PAL losses of one shot, forward and backward', our_loss, published_loss)
DETECTIONS = [
    Case(
        f'detections, {count:,} candidates',
        partial(our_detections, candidates=count),
        partial(published_detections, candidates=count),
    )
    for count in (5000, 300)
]
