"""DarkISP against the authors' numbers, a step-by-step transcription in float64 and the distributions of the paper."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy import stats

from mmdark.dark_isp import (
    FLOOR,
    PRESETS,
    PUBLISHED_CAMERA_TO_RGB,
    RGB_TO_XYZ,
    XYZ_TO_CAMERA,
    ISPNoise,
    ISPParameters,
    darken,
    sample_noise,
    sample_parameters,
    sample_parameters_each,
)
from tests.half_precision import HALVES

PUBLISHED = """
2.3093991645987457 2.283145828194227 1.5336080992199088 0.7647706551753859 0.07663286655229992 0 12
  0.0009421673007093528 7.854734943407837e-07
-0.20621987 0.41690114 0.63568985
82 35 170 -0.05341321 0.1627819 -2.5982 0.1108559 0.06812635 0.1794697 0.09640724 0.07332233
  0.07106829
198 28 182 -3.097239 2.428574 0.1021643 0.203189 0.06030147 0.1893226 0.0003434753 0.1720852
  0.187732

2.850585175740434 1.980358934933659 1.7258536840970633 0.7579156554556835 0.09399764926970579 1 14
  0.01170138750005945 0.0001683262019737562
-0.60893846 0.44196451 -0.24261087
202 138 159 0.8501325 1.47376 0.8234462 0.2796763 0.2088043 0.2308296 0.397368 0.3015115 0.3244728
80 250 249 -1.643772 0.3773513 0.5064195 0.1476897 0.3629246 0.3596768 0.00156156 0.4112221
  0.3981977

3.4828388027291766 2.3843969604004043 1.8226885459145052 0.7482008690397288 0.07311810197671022 2 16
  0.00424277760490615 2.0737476102157303e-05
0.096713506 -0.44871613 0.35754004
45 169 187 0.9946449 0.8705595 1.191455 0.1161729 0.2649703 0.2870474 0.3136655 0.172468 0.3763058
129 192 176 0.2657818 -0.0500334 -0.9806678 0.21879 0.2934507 0.2734027 0.2851925 0.3269735
  0.005046883

2.7090814414425175 2.2295667760643836 1.8868943858931138 0.8850079438703036 0.03541838932184884 3 12
  0.0011122169663594517 1.5338285685232052e-06
0.87983352 -0.31782582 -0.45197508
27 163 186 -0.0009835917 -0.5087564 1.642128 0.05625317 0.165432 0.1833445 0.07369519 0.05655211
  0.2418595
178 151 66 0.18512 -1.218731 -1.48872 0.1769682 0.1564731 0.09275726 0.2003092 0.1095833 0.001114217
"""
"""Pixels of the authors' published code (ZPDu/DAI-Net at f9f78ff), a paragraph for each camera.

Nine parameters in the order of ``ISPParameters``; three quantisation numbers; then for two pixels: uint8 RGB, standard
normals, output without noise, output with noise.
"""


def parameters_of(*values: float) -> ISPParameters:
    """One image's parameters from numbers in the order of the fields."""
    tensors = (torch.tensor([value]) for value in values)
    return ISPParameters(**{field.name: value for field, value in zip(fields(ISPParameters), tensors, strict=True)})


def one_of(parameters: ISPParameters, index: int) -> ISPParameters:
    return ISPParameters(
        **{field.name: getattr(parameters, field.name)[index : index + 1] for field in fields(parameters)}
    )


def transcription(image: np.ndarray, parameters: ISPParameters, noise: ISPNoise | None, preset: str) -> np.ndarray:
    """DarkISP of one ``(3, N)`` image, one step of the paper after the other, in float64."""
    values = {field.name: float(getattr(parameters, field.name)) for field in fields(parameters)}
    matrix = np.array(XYZ_TO_CAMERA[int(values['camera'])]) @ np.array(RGB_TO_XYZ)
    matrix /= matrix.sum(1, keepdims=True) if preset == 'corrected' else matrix.sum(1)
    x = 0.5 - np.sin(np.arcsin(1 - 2 * image.astype(np.float64)) / 3)
    x = matrix @ np.maximum(x, 1e-8) ** values['gamma']
    x = x * np.array([[1 / values['red_gain']], [1], [1 / values['blue_gain']]]) * values['rgb_gain']
    x = x * values['darkness']
    if noise is not None:
        z, u = (np.asarray(part[0].reshape(3, -1), dtype=np.float64) for part in (noise.shot_read, noise.quantisation))
        width = 0.5 / 2 ** values['bits'] if preset == 'corrected' else 1 / (255 * values['bits'])
        x = x + z * np.sqrt(np.maximum(x * values['shot_noise'] + values['read_noise'], 1e-8)) + u * width
    x = np.linalg.inv(matrix) @ (x * np.array([[values['red_gain']], [1], [values['blue_gain']]]))
    x = np.maximum(x, 1e-8) ** (1 / values['gamma'])
    return x.clip(0, 1) if preset == 'corrected' else x


@pytest.mark.parametrize('case', PUBLISHED.strip().split('\n\n'), ids=lambda case: f'camera {case.split()[5]}')
def test_published_pixels(case: str) -> None:
    numbers = [float(number) for number in case.split()]
    rgb, normals, clean, noisy = torch.tensor(numbers[12:]).view(2, 4, 3).permute(1, 2, 0)[:, None, :, None]
    parameters = parameters_of(*numbers[:5], int(numbers[5]), *numbers[6:9])
    noise = ISPNoise(normals, torch.tensor(numbers[9:12]).view(1, 3, 1, 1))
    assert torch.allclose(darken(rgb / 255, parameters, None, 'dainet'), clean, atol=2e-6)
    assert torch.allclose(darken(rgb / 255, parameters, noise, 'dainet'), noisy, atol=2e-5)


def test_published_inverses_invert() -> None:
    for camera, inverse in zip(XYZ_TO_CAMERA, PUBLISHED_CAMERA_TO_RGB, strict=True):
        matrix = np.array(camera) @ np.array(RGB_TO_XYZ)
        matrix /= matrix.sum(1)  # columns, for want of keepdims
        np.testing.assert_allclose(np.array(inverse) @ matrix, np.eye(3), atol=1e-6)


@pytest.mark.parametrize('preset', PRESETS)
@pytest.mark.parametrize('seed', range(4))
def test_transcription(preset: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(1, 3, 6, 7, generator=generator)
    parameters = sample_parameters(1, preset, generator)
    noise = sample_noise(images.shape, preset, generator)
    gamma = float(parameters.gamma)
    for given in (None, noise):
        ours = darken(images, parameters, given, preset)[0].reshape(3, -1).double().numpy()
        theirs = transcription(images[0].reshape(3, -1).numpy(), parameters, given, preset)
        assert np.abs(ours**gamma - theirs**gamma).max() < 1e-6
        assert np.median(np.abs(ours - theirs)) < 1e-5


@pytest.mark.parametrize('preset', PRESETS)
def test_noiseless_law(preset: str) -> None:
    generator = torch.Generator().manual_seed(1)
    parameters = sample_parameters(8, preset, generator)
    images = 0.2 + 0.8 * torch.rand(8, 3, 5, 5, generator=generator)
    dark = darken(images, parameters, None, preset).numpy()
    for index in range(8):
        gamma, gain, darkness = (float(getattr(parameters, name)[index]) for name in ('gamma', 'rgb_gain', 'darkness'))
        tone = 0.5 - np.sin(np.arcsin(1 - 2 * images[index].double().numpy()) / 3)
        np.testing.assert_allclose(dark[index], tone * (gain * darkness) ** (1 / gamma), rtol=1e-4)


def test_black_is_the_floor() -> None:
    parameters = sample_parameters(3, generator=torch.Generator().manual_seed(0))
    dark = darken(torch.zeros(3, 3, 2, 2), parameters)
    expected = FLOOR ** (1 / parameters.gamma)
    assert torch.allclose(dark, expected.view(-1, 1, 1, 1).expand_as(dark))


def test_parameter_distributions() -> None:
    drawn = sample_parameters(20000, 'dainet', torch.Generator().manual_seed(0))
    low, high = np.log(1e-4), np.log(0.012)
    log_shot = drawn.shot_noise.double().log()
    samples = {
        'gamma': (drawn.gamma, stats.uniform(2, 1.5)),
        'red': (drawn.red_gain, stats.uniform(1.9, 0.5)),
        'blue': (drawn.blue_gain, stats.uniform(1.5, 0.4)),
        'exposure': (drawn.rgb_gain, stats.norm(0.8, 0.1)),
        'darkness': (drawn.darkness, stats.truncnorm((0.01 - 0.1) / 0.08, 0, 0.1, 0.08)),
        'shot': (log_shot, stats.uniform(low, high - low)),
        'read': (drawn.read_noise.double().log() - 2.18 * log_shot - 1.20, stats.norm(0, 0.26)),
    }
    for name, (sample, law) in samples.items():
        assert stats.kstest(sample.double().numpy(), law.cdf).pvalue > 1e-3, name
    assert drawn.darkness.min() >= 0.01 and drawn.darkness.max() <= 0.1
    for name, choices in (('camera', [0, 1, 2, 3]), ('bits', [12, 14, 16])):
        found, counts = getattr(drawn, name).unique(return_counts=True)
        assert found.tolist() == choices
        assert stats.chisquare(counts.numpy()).pvalue > 1e-3, name


def test_maet_reaches_daylight() -> None:
    darkness = sample_parameters(20000, 'maet', torch.Generator().manual_seed(0)).darkness.double()
    law = stats.truncnorm((0.01 - 0.1) / 0.08, (1.0 - 0.1) / 0.08, 0.1, 0.08)
    assert stats.kstest(darkness.numpy(), law.cdf).pvalue > 1e-3
    assert float(darkness.mean()) == pytest.approx(law.mean(), abs=2e-3)
    assert darkness.min() >= 0.01 and 0.1 < darkness.max() <= 1.0


def test_noise_distributions() -> None:
    shape = (4, 3, 50, 40)
    noise = sample_noise(shape, 'corrected', torch.Generator().manual_seed(0))
    assert noise.shot_read.shape == noise.quantisation.shape == shape
    assert stats.kstest(noise.shot_read.double().numpy().ravel(), stats.norm().cdf).pvalue > 1e-3
    assert stats.kstest(noise.quantisation.double().numpy().ravel(), stats.uniform(-1, 2).cdf).pvalue > 1e-3
    for preset in ('dainet', 'maet'):  # as published: three numbers an image
        assert sample_noise(shape, preset).quantisation.shape == (4, 3, 1, 1)


def test_seed_decides_everything() -> None:
    def draw(seed: int) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        parameters = sample_parameters(3, generator=generator)
        noise = sample_noise((3, 3, 4, 4), generator=generator)
        return [getattr(part, field.name) for part in (parameters, noise) for field in fields(part)]

    before = torch.get_rng_state()
    first, again, other = draw(0), draw(0), draw(1)
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, first, again))
    continuous = [pair for pair in zip(first, other, strict=True) if len(pair[0].unique()) > 2]
    assert len(continuous) >= 9
    assert not any(torch.equal(a, b) for a, b in continuous)
    torch.manual_seed(0)
    default = sample_parameters(3).gamma
    torch.manual_seed(0)
    assert torch.equal(default, sample_parameters(3).gamma)


@pytest.mark.parametrize('preset', PRESETS)
def test_one_from_each_generator(preset: str) -> None:
    batch = sample_parameters_each([torch.Generator().manual_seed(seed) for seed in range(5)], preset)
    for seed in range(5):
        single = sample_parameters(1, preset, torch.Generator().manual_seed(seed))
        found = one_of(batch, seed)
        assert all(torch.equal(getattr(found, field.name), getattr(single, field.name)) for field in fields(single))


@pytest.mark.parametrize('preset', PRESETS)
def test_a_device_is_not_waited_for(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors without values stand for a device: reading one raises. The parameters reach it by a single copy."""
    monkeypatch.setattr(torch, 'autocast', lambda *args, **kwargs: nullcontext())  # has no such device
    copies = []
    monkeypatch.setattr(
        torch.Tensor,
        'to',
        lambda tensor, device, copy=torch.Tensor.to, **kwargs: (
            (copies.append(kwargs) if torch.device(device) != tensor.device else None) or copy(tensor, device, **kwargs)
        ),
    )
    images = torch.rand(4, 3, 8, 8, device='meta')
    noise = ISPNoise(torch.rand_like(images), torch.rand_like(images))
    dark = darken(images, sample_parameters(4, preset), noise, preset)
    assert dark.device.type == 'meta' and dark.shape == images.shape
    assert copies == [dict(non_blocking=True)]


@pytest.mark.parametrize('preset', PRESETS)
def test_batch_is_its_images(preset: str) -> None:
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(4, 3, 9, 6, generator=generator)
    parameters = sample_parameters(4, preset, generator)
    noise = sample_noise(images.shape, preset, generator)
    batch = darken(images, parameters, noise, preset)
    for index in range(4):
        own = ISPNoise(noise.shot_read[index : index + 1], noise.quantisation[index : index + 1])
        single = darken(images[index : index + 1], one_of(parameters, index), own, preset)
        assert torch.allclose(batch[index : index + 1], single, atol=1e-5)


def test_presets_differ_as_documented() -> None:
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(2, 3, 32, 32, generator=generator)
    parameters = sample_parameters(2, generator=generator)
    loud = replace(parameters, shot_noise=torch.full((2,), 5.0))  # pushes values out of [0, 1]
    noise = sample_noise(images.shape, generator=generator)
    published = darken(images, loud, noise, 'dainet')
    assert torch.equal(published, darken(images, loud, noise, 'maet'))  # these two differ in the darkness drawn alone
    assert published.max() > 1
    corrected = darken(images, loud, noise, 'corrected')
    assert corrected.min() >= 0 and corrected.max() <= 1
    assert (corrected - published.clamp(0, 1)).abs().mean() > 1e-3  # other colours and level of the noise
    assert torch.allclose(  # the matrices cancel where there is no noise
        darken(0.1 + 0.9 * images, parameters, None, 'corrected'), darken(0.1 + 0.9 * images, parameters), atol=1e-3
    )


def test_corrected_matrices_keep_white_white() -> None:
    gains = dict(gamma=1.0, red_gain=1.0, blue_gain=1.0, rgb_gain=1.0, darkness=1.0)
    for camera in range(4):
        parameters = parameters_of(*gains.values(), camera, 12.0, 0.0, 1e-4)
        white, noise = torch.ones(1, 3, 1, 1), ISPNoise(torch.ones(1, 3, 1, 1), torch.zeros(1, 3, 1, 1))
        tinted = darken(white * 0.5, parameters, noise, 'corrected')  # equal noise on a grey signal stays grey
        assert torch.allclose(tinted, torch.full_like(tinted, 0.51), atol=1e-5)


@pytest.mark.parametrize('call', [lambda: sample_parameters(1, 'night'), lambda: sample_noise((1, 3, 2, 2), 'night')])
def test_unknown_preset(call: Callable) -> None:
    with pytest.raises(ValueError, match="'night'; choose one of dainet, maet, corrected"):
        call()
    with pytest.raises(ValueError, match="'night'; choose one of dainet, maet, corrected"):
        darken(torch.rand(1, 3, 2, 2), sample_parameters(1), preset='night')


@pytest.mark.parametrize('dtype', HALVES)
def test_half_precision_keeps_the_shadows(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(4)
    images = torch.rand(2, 3, 8, 8, generator=generator).to(dtype)
    parameters = sample_parameters(2, generator=generator)
    noise = sample_noise(images.shape, generator=generator)
    exact = darken(images.float(), parameters, noise)
    with torch.autocast('cpu', dtype=dtype):
        dark = darken(images, parameters, noise)
    assert dark.dtype == torch.float32
    assert torch.equal(dark, exact)
