"""NMS, matching and DarkISP on the device, beside the CPU, also where numbers tie."""

from __future__ import annotations

import pytest
import torch
from mmcv.ops import nms
from torch import Tensor

from mmdark.dark_isp import PRESETS, darken, sample_noise, sample_parameters
from mmdark.models.prior_matching import match_priors
from tests.adaptation.hosts import build, small

pytestmark = pytest.mark.gpu

MEAN, MOST = 1e-5, 1e-3
"""Of image values: a power of 1/3.5 of a signal at its floor makes much of one rounding."""


def boxes_that_tie() -> tuple[Tensor, Tensor]:
    """Boxes on a grid, each four times, a score for sixteen of them."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.randint(0, 200, (1000, 2), generator=generator).repeat(4, 1).float()
    boxes = torch.cat([corners, corners + 16], dim=1)
    return boxes, torch.randint(0, 250, (len(boxes),), generator=generator) / 250


@pytest.mark.parametrize('threshold', [0.3, 0.45, 1 / 3])
def test_suppression_keeps_the_same_of_equal_scores(threshold: float, device: str) -> None:
    boxes, scores = boxes_that_tie()
    wanted, kept = nms(boxes, scores, threshold)
    found, others = nms(boxes.to(device), scores.to(device), threshold)
    assert 100 < len(kept) < 2000
    assert torch.equal(found.cpu(), wanted) and torch.equal(others.cpu(), kept)


def test_equal_overlaps_are_matched_alike(device: str) -> None:
    """Faces in the middle between priors, and two of the same place."""
    sides, cells = 16.0, 12
    ticks = torch.arange(cells) * 8.0
    y, x = torch.meshgrid(ticks, ticks, indexing='ij')
    priors = torch.stack([x, y, x + sides, y + sides], dim=-1).flatten(0, 1) / 128
    faces = [[4.0, 4, 20, 20], [4.0, 4, 20, 20], [12.0, 20, 28, 36], [100.0, 100, 104, 104]]
    faces, inside = torch.tensor(faces) / 128, torch.ones(len(priors), dtype=torch.bool)
    results = [match_priors(priors.to(to), faces.to(to), None, 0.35, inside.to(to)) for to in ('cpu', device)]
    assert int(results[0].positive.sum()) >= 4
    for wanted, found in zip(*results, strict=True):
        assert torch.equal(found.cpu(), wanted)


@pytest.mark.parametrize('preset', PRESETS)
def test_darkness_of_the_same_parameters_and_noise(preset: str, device: str) -> None:
    generator = torch.Generator().manual_seed(1)
    light = torch.randint(0, 256, (4, 3, 96, 128), generator=generator) / 255
    parameters = sample_parameters(4, preset, generator)
    noise = sample_noise(tuple(light.shape), preset, generator)
    there = type(noise)(noise.shot_read.to(device), noise.quantisation.to(device))
    wanted, found = darken(light, parameters, noise, preset), darken(light.to(device), parameters, there, preset).cpu()
    difference = (found - wanted).abs()
    assert float(difference.mean()) < MEAN and float(difference.max()) < MOST
    assert 0 < float(wanted.mean()) < float(light.mean())


def test_darkness_depends_on_the_seed_of_a_sample_alone(device: str) -> None:
    """One after the other, or in one batch: equal to the last digit on the same device."""
    model = small('retinanet/retinanet_r18_wider_dark.py')
    preprocessor = build(model).data_preprocessor.to(device)
    light = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(device)

    class Sample(dict):
        pad_shape = (64, 64)

    samples = [Sample(random_seed=7), Sample(random_seed=8)]
    together = preprocessor.darken(light, *preprocessor.sample(light, samples))
    alone = [
        preprocessor.darken(light[i : i + 1], *preprocessor.sample(light[i : i + 1], samples[i : i + 1]))
        for i in range(2)
    ]
    assert torch.equal(together, torch.cat(alone))
