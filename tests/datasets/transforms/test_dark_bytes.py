"""DarkISP on bytes: equal to DarkISP on floats, distributed as the published one, and fast beside a plain version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy import stats

from mmdark.dark_isp import (
    PRESETS,
    PUBLISHED_CAMERA_TO_RGB,
    RGB_TO_XYZ,
    XYZ_TO_CAMERA,
    darken,
    sample_noise,
    sample_parameters,
)
from mmdark.datasets import DarkISP
from mmdark.datasets.transforms.dark_bytes import darken_bytes


def photo(height: int, width: int) -> np.ndarray:
    """Smooth parts and every byte, among them black and white."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (max(height // 16, 1), max(width // 16, 1), 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(rng.random((height, width, 1)) < 0.3, rng.integers(0, 256, image.shape), image).astype(np.uint8)


@pytest.mark.parametrize('preset', PRESETS)
@pytest.mark.parametrize('size', [(64, 96), (97, 131), (33, 31), (1, 1), (40, 3000)])
def test_equals_the_floats(preset: str, size: tuple[int, int]) -> None:
    """Bit for bit where the published code is followed; else in linear light, a root near zero magnifies rounding."""
    image, generator = photo(*size), torch.Generator().manual_seed(7)
    parameters = sample_parameters(1, preset, generator)
    noise = sample_noise((1, 3, *size), preset, generator)
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None] / 255
    wanted = (darken(rgb, parameters, noise, preset)[0] * 255).permute(1, 2, 0).numpy()[..., ::-1]
    before = image.copy()
    found = darken_bytes(image, parameters, noise, preset)
    assert np.array_equal(image, before)
    assert found.dtype == np.float32 and found.shape == image.shape and found.flags['C_CONTIGUOUS']
    if PRESETS[preset].fold:
        gamma = float(parameters.gamma)
        linear = [(dark.astype(np.float64) / 255) ** gamma for dark in (found, wanted)]
        assert np.abs(linear[0] - linear[1]).max() < 3e-7
        assert np.quantile(np.abs(found - wanted) / wanted, 0.98) < 2e-6
    else:
        np.testing.assert_allclose(found, wanted, rtol=3e-7)
        assert np.array_equal(found, wanted) or image.size % 32  # torch rounds the ends of odd arrays by another way


@pytest.mark.parametrize('preset', PRESETS)
def test_only_corrected_clips(preset: str) -> None:
    image, generator = photo(64, 64), torch.Generator().manual_seed(1)
    parameters, noise = sample_parameters(1, preset, generator), sample_noise((1, 3, 64, 64), preset, generator)
    dark = darken_bytes(image, replace(parameters, shot_noise=torch.tensor([5.0])), noise, preset)
    assert dark.min() >= 0
    assert dark.max() == 255 if preset == 'corrected' else dark.max() > 255


def test_a_part_of_an_image_is_the_image_of_the_part() -> None:
    whole = photo(80, 90)
    part, generator = whole[10:70:2, 5:80], torch.Generator().manual_seed(3)
    parameters, noise = sample_parameters(1, generator=generator), sample_noise((1, 3, 30, 75), generator=generator)
    assert np.array_equal(darken_bytes(part, parameters, noise), darken_bytes(part.copy(), parameters, noise))


def test_another_preset_is_refused() -> None:
    parameters, noise = sample_parameters(1), sample_noise((1, 3, 2, 2))
    with pytest.raises(ValueError, match="unknown DarkISP preset 'dusk'"):
        darken_bytes(photo(2, 2), parameters, noise, 'dusk')


def plain_dark(rgb: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Section 3 of the reference, as published, one step after the other; ``(H, W, 3)`` in [0, 1]."""
    floor = torch.tensor([1e-8])
    gamma, red, blue = rng.uniform(2, 3.5), rng.uniform(1.9, 2.4), rng.uniform(1.5, 1.9)
    exposure, camera = rng.normal(0.8, 0.1), rng.integers(4)
    darkness = stats.truncnorm((0.01 - 0.1) / 0.08, 0, loc=0.1, scale=0.08).rvs(random_state=rng)
    log_shot = rng.uniform(np.log(1e-4), np.log(0.012))
    read = np.exp(2.18 * log_shot + 1.20 + rng.normal(0, 0.26))
    matrix = np.array(XYZ_TO_CAMERA[camera]) @ np.array(RGB_TO_XYZ)
    matrix = torch.tensor(matrix / matrix.sum(1), dtype=torch.float32)
    balance = torch.tensor([red, 1.0, blue], dtype=torch.float32)
    x = 0.5 - torch.sin(torch.asin(1.0 - 2.0 * rgb) / 3.0)
    x = torch.maximum(x, floor) ** gamma
    x = torch.tensordot(x, matrix, dims=[[2], [1]]) / balance * exposure * darkness
    x = x + torch.normal(0.0, torch.sqrt(torch.maximum(x * np.exp(log_shot) + read, floor)))
    x = x + torch.tensor(rng.uniform(-1, 1, 3), dtype=torch.float32) / (255 * rng.choice([12, 14, 16]))
    x = torch.tensordot(x * balance, torch.tensor(PUBLISHED_CAMERA_TO_RGB[camera]), dims=[[2], [1]])
    return torch.maximum(x, floor) ** (1 / gamma)


def levels(dark: np.ndarray) -> Iterator[float]:
    """What is compared of an image of three grey stripes: the median and the spread of each channel of each."""
    for stripe in np.split(dark, 3):
        yield from np.median(stripe, axis=(0, 1))
        yield from np.subtract(*np.quantile(stripe, [0.9, 0.1], axis=(0, 1)))


def test_levels_are_distributed_as_published() -> None:
    """Two samples of 400 dark images: published formulas with numpy's randomness, and ours."""
    image = np.repeat(np.array([30, 120, 240], dtype=np.uint8), 8)[:, None, None].repeat(16, 1).repeat(3, 2)
    rgb, rng = torch.from_numpy(image) / 255.0, np.random.default_rng(0)
    torch.manual_seed(0)
    published = np.array([list(levels(plain_dark(rgb, rng).numpy())) for _ in range(400)])
    np.random.seed(0)  # noqa: NPY002
    transform = DarkISP('dainet')
    ours = [transform.transform(dict(img=image))['dark_img'][..., ::-1] / 255 for _ in range(400)]
    ours = np.array([list(levels(dark)) for dark in ours])
    chances = [stats.ks_2samp(a, b).pvalue for a, b in zip(published.T, ours.T, strict=True)]
    assert len(chances) == 18 and min(chances) > 1e-3
    brighter = [stats.ks_2samp(a, b * 1.15).pvalue for a, b in zip(published.T, ours.T, strict=True)]
    assert min(brighter) < 1e-3  # so much would be seen
