"""The day detector: trains, predicts, and holds nothing of the dark code."""

from __future__ import annotations

import inspect

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmdark.models import DSFD

from .tiny_models import CONFIGS, pair_of, samples_of, tiny_dsfd

FACES = ([[10.0, 12, 30, 34], [60, 20, 70, 32]], [])
DARK_CODE = ('dark_isp', 'dai_net', 'dark_pair_preprocessor', 'losses', 'published_weights', 'reflectance', 'retinex')


def words_of(value: object) -> set[str]:
    """Every type named in a config."""
    if isinstance(value, dict):
        own = {value['type']} if isinstance(value.get('type'), str) else set()
        return own.union(*map(words_of, value.values()))
    return set().union(*map(words_of, value)) if isinstance(value, list | tuple) else set()


def test_holds_nothing_of_the_dark_code() -> None:
    model = tiny_dsfd()
    assert type(model) is DSFD
    homes = {type(module).__module__ for module in (model, *model.modules())}
    assert 'mmdark.models.pal_head' in homes
    assert not [home for home in homes if any(word in home for word in DARK_CODE)]
    for name in homes:
        if name.startswith('mmdark.'):
            imports = [
                line for line in inspect.getsource(__import__(name, fromlist=['_'])).splitlines() if 'import ' in line
            ]
            assert not [line for line in imports if any(word in line for word in DARK_CODE)]


def test_config_names_nothing_of_the_dark_code() -> None:
    day, dark = (
        words_of(Config.fromfile(CONFIGS / name).to_dict())
        for name in ('dsfd/dsfd_vgg16_wider.py', 'dsfd_dark_wider.py')
    )
    of_the_dark = {'DAINet', 'DarkPairPreprocessor', 'DarkISP', 'PackDarkPair', 'RetinexNet', 'ReflectanceDecoder'}
    assert of_the_dark <= dark
    assert not of_the_dark & day and not [word for word in day - {'DarkVGG'} if 'Dark' in word]


def test_trains() -> None:
    model, images = tiny_dsfd(), pair_of()['light']
    optimizer = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=1e-3))
    totals = []
    for _ in range(10):
        losses = model(images, samples_of(*FACES), mode='loss')
        assert sorted(losses) == [f'pal{shot}_loss_{name}' for shot in (1, 2) for name in ('bbox', 'cls')]
        loss, _ = model.parse_losses(losses)
        optimizer.update_params(loss)
        totals.append(float(loss.detach()))
    assert totals[-1] < 0.8 * totals[0]
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_every_parameter_learns() -> None:
    model = tiny_dsfd()
    loss, _ = model.parse_losses(model(pair_of()['light'], samples_of(*FACES), mode='loss'))
    loss.backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize('size', [(64, 96), (33, 47)])
def test_predicts(size: tuple[int, int]) -> None:
    model = tiny_dsfd().eval()
    with torch.no_grad():
        found = model(pair_of(size=size)['light'], samples_of(*FACES, size=size), mode='predict')
    for sample in found:
        faces = sample.pred_instances
        assert faces.bboxes.shape == (len(faces.scores), 4) and not faces.labels.any()
        assert (faces.scores > 0.05).all() and (faces.scores.diff() <= 0).all()
