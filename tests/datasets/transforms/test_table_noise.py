"""Noise by table: the distributions of what it stands for, whatever the strips."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from mmdark.dark_isp import sample_noise
from mmdark.datasets.transforms.table_noise import TableNoise

SHAPE = (3, 96, 160)


@pytest.mark.parametrize('which', [0, 1], ids=['normal', 'uniform'])
def test_distributions_are_those_of_sample_noise(which: int) -> None:
    """By Kolmogorov and Smirnov, against the true distribution and against torch's numbers."""
    own = TableNoise(1, quantise_pixels=True).strip(SHAPE)[which].ravel()
    noise = sample_noise((1, *SHAPE), 'corrected', torch.Generator().manual_seed(0))
    drawn = (noise.shot_read, noise.quantisation)[which].numpy().ravel()
    true = stats.norm.cdf if which == 0 else stats.uniform(-1, 2).cdf
    assert stats.kstest(own, true).pvalue > 0.01
    assert stats.ks_2samp(own, drawn).pvalue > 0.01
    assert stats.kstest(1.05 * own, true).pvalue < 0.01  # what it would say of 5 % more
    assert own.dtype == np.float32 and own.std() == pytest.approx(drawn.std(), rel=0.01)


def test_numbers_are_independent() -> None:
    """Of their neighbours, of the other channels, and normal ones of uniform ones."""
    normal, uniform = TableNoise(2, quantise_pixels=True).strip(SHAPE)
    pairs = [(normal[:, :, 1:], normal[:, :, :-1]), (normal[0], normal[1]), (normal, uniform), (uniform[1], uniform[2])]
    for one, other in pairs:
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(one.size)


def test_a_seed_makes_the_noise_and_strips_go_on() -> None:
    first, second, other = (TableNoise(seed, quantise_pixels=True) for seed in (5, 5, 6))
    strips = [noise.strip((3, 4, 8))[0] for noise in (first, second, other)]
    assert np.array_equal(strips[0], strips[1]) and not np.array_equal(strips[0], strips[2])
    assert not np.array_equal(first.strip((3, 4, 8))[0], strips[0])
    assert first.strip((3, 5, 7))[1].shape == (3, 5, 7)  # no multiple of four


def test_quantisation_is_one_number_a_channel_as_published() -> None:
    noise = TableNoise(3, quantise_pixels=False)
    strips = [noise.strip((3, 2, 8))[1] for _ in range(2)]
    assert strips[0].shape == (3, 1, 1) and np.array_equal(*strips)
    numbers = np.stack([TableNoise(seed, quantise_pixels=False).strip((3, 1, 1))[1] for seed in range(400)])
    assert stats.kstest(numbers.ravel(), stats.uniform(-1, 2).cdf).pvalue > 0.01
