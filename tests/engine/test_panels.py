"""The panel of what a model makes of an image."""

import numpy as np
import torch

from mmdark.engine.panels import reflectance_of
from tests.models.tiny_models import tiny_dai_net, tiny_dsfd


def test_the_reflectance_is_the_decoders() -> None:
    model = tiny_dai_net('none')
    assert reflectance_of(model, torch.rand(3, 64, 64)) is None is reflectance_of(tiny_dsfd(), torch.rand(3, 64, 64))
    model, image = tiny_dai_net('max_rgb'), torch.rand(3, 64, 96)
    with torch.no_grad():
        rgb = model.reflectance_decoder(model.detector.backbone.stem(image[None]), (64, 96))[0].permute(1, 2, 0).numpy()
    assert np.abs(reflectance_of(model, image)[..., ::-1] / 255 - rgb).max() <= 0.5 / 255 + 1e-6
