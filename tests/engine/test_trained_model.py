"""A look at a model leaves nothing behind: modes, statistics, random numbers, gradients."""

import numpy as np
import pytest
import torch
from torch import nn

from mmdark.engine.trained_model import reflectance_of, undisturbed
from tests.models.tiny_models import tiny_dai_net, tiny_dsfd


def model() -> nn.Module:
    """In training, but for a part that is frozen."""
    made = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Sequential(nn.BatchNorm2d(4)))
    made.train()
    made[3].eval()
    return made


def test_everything_is_as_before() -> None:
    looked_at, torch_state = model(), torch.get_rng_state()
    before = {name: value.clone() for name, value in looked_at.state_dict().items()}
    modes = [module.training for module in looked_at.modules()]
    with undisturbed(looked_at):
        assert not any(module.training for module in looked_at.modules())
        torch.rand(7)
        assert not looked_at(torch.rand(2, 3, 4, 4)).requires_grad
    assert [module.training for module in looked_at.modules()] == modes == [True, True, True, True, False, False]
    assert all(torch.equal(value, before[name]) for name, value in looked_at.state_dict().items())
    assert torch.equal(torch.get_rng_state(), torch_state) and torch.is_grad_enabled()


def test_after_an_error_too() -> None:
    looked_at, state = model(), torch.get_rng_state()
    with pytest.raises(KeyError), undisturbed(looked_at):
        torch.rand(1)
        raise KeyError
    assert looked_at.training and not looked_at[3].training and torch.equal(torch.get_rng_state(), state)


def test_the_reflectance_is_the_decoders() -> None:
    model = tiny_dai_net('none')
    assert reflectance_of(model, torch.rand(3, 64, 64)) is None is reflectance_of(tiny_dsfd(), torch.rand(3, 64, 64))
    model, image = tiny_dai_net('max_rgb'), torch.rand(3, 64, 96)
    with torch.no_grad():
        rgb = model.reflectance_decoder(model.detector.backbone.stem(image[None]), (64, 96))[0].permute(1, 2, 0).numpy()
    assert np.abs(reflectance_of(model, image)[..., ::-1] / 255 - rgb).max() <= 0.5 / 255 + 1e-6
