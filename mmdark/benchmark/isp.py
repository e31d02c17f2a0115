"""DarkISP on one image, parameters and noise drawn anew each time; on a GPU, on a batch."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from mmdark.adaptation import DarkPairPreprocessor
from mmdark.datasets import DarkISP

from .inputs import data_samples, photo
from .interleave import Case
from .published import published_part, use_checkout
from .settings import Settings
from .side import Work


def ours(settings: Settings, preset: str) -> Work:
    """On a CPU the step of the pipeline, on a GPU what the data preprocessor does with a batch."""
    rng = np.random.default_rng(settings.seed)
    size = (settings.size, settings.size)
    if settings.device == 'cpu':
        image, step = photo(size, rng), DarkISP(preset)
        return Work(lambda: step.transform(dict(img=image)), images=1)
    batch = settings.batch(1, 16)
    light = _tensor(np.stack([photo(size, rng) for _ in range(batch)])).cuda()
    samples = data_samples([np.zeros((0, 4), np.float32)] * batch, settings.size)
    preprocessor = DarkPairPreprocessor(dict(type='DetDataPreprocessor'), dark_isp=preset).cuda()

    def darken() -> None:
        preprocessor.darken(light, *preprocessor.sample(light, samples))

    return Work(darken, images=batch)


def published(settings: Settings, checkout: Path) -> Work:
    """The published function on the device, image by image, as the training script calls it."""
    use_checkout(checkout, settings.device)
    degrade = published_part('utils/DarkISP.py')
    rng = np.random.default_rng(settings.seed)
    batch = settings.batch(1, 16, published=True) if settings.device == 'cuda' else 1
    light = _tensor(np.stack([photo((settings.size, settings.size), rng) for _ in range(batch)])).to(settings.device)

    def darken() -> None:
        for image in light:
            degrade(image)

    return Work(darken, images=batch)


def _tensor(images: np.ndarray) -> torch.Tensor:
    """``(B, H, W, 3)`` BGR bytes as ``(B, 3, H, W)`` RGB in [0, 1]."""
    return torch.from_numpy(images[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255


CASES = [Case(f'DarkISP, {preset}', partial(ours, preset=preset), published) for preset in ('dainet', 'corrected')]
