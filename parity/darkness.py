"""DarkISP beside the authors' code: the function, the pipeline transform, and a whole batch on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from mmdark.adaptation import DarkPairPreprocessor
from mmdark.dark_isp import ISPNoise, ISPParameters, darken
from mmdark.datasets import DarkISP

from .comparison import Comparison, compare
from .golden import GoldenCase

PIXEL = 1e-5
PRESET = 'dainet'
RENAMED = {'camera': 'xyz2cam_index'}


def check_dark_isp(case: GoldenCase, device: str = 'cpu') -> Iterator[Comparison]:
    """A ``dark_isp`` case: published outputs for given parameters and noise, with and without the noise."""
    preprocessor = DarkPairPreprocessor(dict(type='DetDataPreprocessor'), dark_isp=PRESET).to(device)
    sizes: dict[tuple, list[int]] = {}
    for index in range(len(case.record)):
        image, golden = case.arrays[f'image_{index}'], case.arrays[f'noisy_{index}']
        sizes.setdefault(image.shape, []).append(index)
        light, parameters, noise = _given(case, [index], device)
        ours = {'noisy': darken(light, parameters, noise, PRESET), 'clean': darken(light, parameters, None, PRESET)}
        for name, dark in ours.items():
            yield _compare(case, f'darken, {name}_{index}', case.arrays[f'{name}_{index}'], dark[0])
        transformed = DarkISP(PRESET).apply(image[..., ::-1], *_given(case, [index])[1:])[..., ::-1]
        yield _compare(case, f'transform, noisy_{index}', golden, transformed.transpose(2, 0, 1) / 255)
    for indices in sizes.values():
        batch = preprocessor.darken(*_given(case, indices, device))
        for index, dark in zip(indices, batch, strict=True):
            yield _compare(case, f'preprocessor, noisy_{index}', case.arrays[f'noisy_{index}'], dark)


def _compare(case: GoldenCase, quantity: str, golden: np.ndarray, ours: np.ndarray | Tensor) -> Comparison:
    return compare(case.name, quantity, golden, ours, PIXEL, absolute=True)


def _given(case: GoldenCase, indices: list[int], device: str = 'cpu') -> tuple[Tensor, ISPParameters, ISPNoise]:
    """Images in [0, 1] and noise on the device, and parameters on the CPU, of some entries of a case, as batches."""
    images, normals = (
        torch.from_numpy(np.stack([case.arrays[f'{name}_{index}'] for index in indices])).permute(0, 3, 1, 2)
        for name in ('image', 'z')
    )
    steps = torch.from_numpy(np.stack([case.arrays[f'u_{index}'] for index in indices]))[:, :, None, None]
    names = {field.name: RENAMED.get(field.name, field.name) for field in fields(ISPParameters)}
    values = {
        ours: torch.from_numpy(np.array([case.record[index][golden] for index in indices]))
        for ours, golden in names.items()
    }
    noise = ISPNoise(normals.to(device), steps.to(device))
    return images.to(device) / 255, ISPParameters(**values), noise
