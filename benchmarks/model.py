"""The detector of a config without its weight files, whose content changes no time."""

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

from .machine import Settings

PUBLISHED_WEIGHTS = 49_832_091
"""Numbers in the published detector, without the teacher."""
SCORE_THRESHOLD = 0.05


def read_config(settings: Settings) -> Config:
    """The config, with its options."""
    photographs = {'data_root': f'{settings.data_root}/'} if settings.data_root else {}
    return load_config(settings.config, {**photographs, **settings.cfg_options})


def build_model(cfg: Config, settings: Settings) -> nn.Module:
    """The model with random weights, on its device."""
    MMLogger.get_current_instance().setLevel('ERROR')
    torch.manual_seed(settings.seed)
    model = MODELS.build(cfg.model)
    _draw_weights(model)
    model.to(settings.device)
    hooks = dict(ChannelsLast=settings.channels_last, CompileParts=settings.compile)
    for name in (name for name, asked in hooks.items() if asked):
        runner = SimpleNamespace(model=model, optim_wrapper=OptimWrapperDict(), logger=MMLogger.get_current_instance())
        HOOKS.build(dict(type=name)).before_train(runner)
    return model


def is_published(model: nn.Module) -> bool:
    """Whether it is DAI-Net with VGG-16 and the published teacher."""
    detector = sum(weight.numel() for name, weight in model.named_parameters() if not name.startswith('enhancer.'))
    return detector == PUBLISHED_WEIGHTS and type(getattr(model, 'enhancer', None)).__name__ == 'RetinexNet'


def count_flops(call: Callable[[], object], settings: Settings) -> float | None:
    """Operations of matrix products and convolutions in one call; torch cannot count them in compiled parts."""
    if settings.compile:
        return None
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


def _draw_weights(model: nn.Module) -> None:
    """Weights that keep the magnitude of activations, as trained ones do, and class scores near zero.

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
