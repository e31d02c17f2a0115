"""DarkISP on one image, parameters and noise drawn anew each time; on a GPU, on a batch."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from mmdark.adaptation import DarkPairPreprocessor
from mmdark.datasets import DarkISP

from .inputs import data_samples, photos_of, rgb_batch
from .machine import Settings
from .measure import Case, Work
from .published import published_part, use_checkout


def ours(settings: Settings, preset: str) -> Work:
    """On a CPU the step of the pipeline, on a GPU what the data preprocessor does with a batch."""
    if settings.device == 'cpu':
        (image,), step = photos_of(settings, 1), DarkISP(preset)
        return Work(lambda: step.transform(dict(img=image)), images=1)
    batch = settings.batch(1, 16)
    light = rgb_batch(settings, batch)
    samples = data_samples([np.zeros((0, 4), np.float32)] * batch, settings.size)
    preprocessor = DarkPairPreprocessor(dict(type='DetDataPreprocessor'), dark_isp=preset).cuda()

    def darken() -> None:
        preprocessor.darken(light, *preprocessor.sample(light, samples))

    return Work(darken, images=batch)


def published(settings: Settings, checkout: Path) -> Work:
    """The published function on the device, image by image, as the training script calls it."""
    use_checkout(checkout, settings.device)
    degrade = published_part('utils/DarkISP.py')
    batch = settings.batch(1, 16, published=True) if settings.device == 'cuda' else 1
    light = rgb_batch(settings, batch)

    def darken() -> None:
        for image in light:
            degrade(image)

    return Work(darken, images=batch)


CASES = [Case(f'DarkISP, {preset}', partial(ours, preset=preset), published) for preset in ('dainet', 'corrected')]
