"""The detector of a config without its weight files, whose content changes no time, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
from mmdet.registry import HOOKS, MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmdark.apis import load_config

from .settings import Settings

PUBLISHED_GFLOP = dict(train=1839.0, test=380.0)
"""What one image of 640x640 costs with DAI-Net on VGG-16: two passes of the teacher and the detector forward and
backward; and the forward pass of a test. What an implementation saves of it or adds to it changes its speed alone."""
PUBLISHED_SIZE = 640
PUBLISHED_WEIGHTS = 49_832_091
"""Numbers in the detector, without the teacher."""
SCORE_THRESHOLD = 0.05
WITHOUT_WEIGHT_FILE = 'PublishedWeights'


def read_config(settings: Settings) -> Config:
    """The config, with its options."""
    photographs = {'data_root': f'{settings.data_root}/'} if settings.data_root else {}
    return load_config(settings.config, {**photographs, **settings.cfg_options})


def build_model(cfg: Config, settings: Settings) -> nn.Module:
    """The model with random weights, on its device."""
    MMLogger.get_current_instance().setLevel('ERROR')
    torch.manual_seed(settings.seed)
    _leave_out_weight_files(cfg.model)
    model = MODELS.build(cfg.model)
    model.init_weights()
    _keep_alive(model)
    model.to(settings.device)
    hooks = dict(ChannelsLast=settings.channels_last, CompileParts=settings.compile)
    for name in (name for name, asked in hooks.items() if asked):
        runner = SimpleNamespace(model=model, optim_wrapper=OptimWrapperDict(), logger=MMLogger.get_current_instance())
        HOOKS.build(dict(type=name)).before_train(runner)
    return model


def is_published(model: nn.Module) -> bool:
    """Whether it is DAI-Net with VGG-16 and the published teacher, whose cost is known."""
    detector = sum(weight.numel() for name, weight in model.named_parameters() if not name.startswith('enhancer.'))
    return detector == PUBLISHED_WEIGHTS and type(getattr(model, 'enhancer', None)).__name__ == 'RetinexNet'


def published_flops(subject: str, images: int, size: int) -> float:
    """Operations of the published model for a call of ``train`` or ``test``: they go with the area."""
    return PUBLISHED_GFLOP[subject] * 1e9 * images * (size / PUBLISHED_SIZE) ** 2


def counted_flops(call: Callable[[], object]) -> float:
    """Operations of matrix products and convolutions, as torch counts them in one call."""
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def limit_candidates(convs: Sequence[nn.Conv2d], face: int, run: Callable[[], object], count: int) -> None:
    """Shift the scores so that ``count`` priors pass the threshold, as in a trained network, whatever the weights.

    Args:
        convs: of the class scores, two channels each.
        face: which of the two is the face's.
        run: calls them all.
        count: priors over the threshold in the first image.
    """
    seen: list[Tensor] = []

    def note(conv: nn.Conv2d, inputs: tuple, scores: Tensor) -> None:
        seen.append((scores[0, face] - scores[0, 1 - face]).detach().flatten())

    handles = [conv.register_forward_hook(note) for conv in convs]
    run()
    for handle in handles:
        handle.remove()
    threshold = torch.logit(torch.tensor(SCORE_THRESHOLD))
    shift = threshold - torch.cat(seen).float().cpu().topk(count).values[-1]
    with torch.no_grad():
        for conv in convs:
            conv.bias[face] += shift.to(conv.bias)


def _keep_alive(model: nn.Module) -> None:
    """Weights that keep the size of what passes through them, as trained ones do, and class scores near zero.

    With Xavier's and no bias all maps are zero somewhere, where the published normalisation has no gradient.
    """
    for name, part in model.named_modules():
        if isinstance(part, nn.Conv2d):
            if '_convs.' in name:
                nn.init.normal_(part.weight, std=0.01)
            else:
                nn.init.kaiming_normal_(part.weight)
            if part.bias is not None:
                nn.init.uniform_(part.bias, 0.0, 0.1)


def _leave_out_weight_files(node: object) -> None:
    """Take ``PublishedWeights`` out of every ``init_cfg`` below ``node``."""
    if isinstance(node, dict):
        given = node.get('init_cfg')
        if isinstance(given, dict) and given.get('type') == WITHOUT_WEIGHT_FILE:
            node['init_cfg'] = None
        elif isinstance(given, list):
            node['init_cfg'] = [one for one in given if one.get('type') != WITHOUT_WEIGHT_FILE]
        for child in node.values():
            _leave_out_weight_files(child)
    elif isinstance(node, list):
        for child in node:
            _leave_out_weight_files(child)
