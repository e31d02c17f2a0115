"""The recipe of the golden cases, against the one that they were made with."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from parity.recipe import dark_image, light_image, published_weights

ROOT = Path(__file__).resolve().parents[2]
ORIGINAL = ROOT.parent / 'shared' / 'golden' / 'recipe.py'


@pytest.mark.skipif(not ORIGINAL.is_file(), reason=f'the original recipe is not at {ORIGINAL}')
def test_the_same_weights_and_images() -> None:
    spec = importlib.util.spec_from_file_location('golden_recipe', ORIGINAL)
    original = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(original)
    for stem, model in (('dainet_320x256', 'dark'), ('dsfd_resnet50_192x256', 'resnet50')):
        keys = json.loads((ROOT / 'tests' / 'golden' / f'{stem}.json').read_text())['keys']
        keys = {name: shape for name, shape in keys.items() if len(shape) < 2 or shape[0] < 100}
        ours, theirs = published_weights(keys, model), original.state_dict(keys, model)
        assert len(ours) > 60 and ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype for name in ours)
    light = light_image(3, 2, 48, 80)
    assert torch.equal(light, original.light_image(3, 2, 48, 80))
    assert torch.equal(dark_image(light, 4), original.dark_image(light, 4))


def test_images_are_light_and_dark() -> None:
    light = light_image(1, 1, 32, 32)
    dark = dark_image(light, 2)
    assert light.shape == dark.shape == (1, 3, 32, 32) and light.amin() >= 0 and light.amax() <= 1
    assert dark.mean() < 0.4 * light.mean()
