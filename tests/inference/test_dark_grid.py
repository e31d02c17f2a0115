"""Each cell is what DarkISP makes with its seed, under a title that says what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmdark.dark_isp import darken, sample_noise, sample_parameters
from mmdark.drawing import GAP, HEADER
from mmdark.errors import InputError
from mmdark.inference.dark_grid import dark_grid, in_short

PRESETS, SEEDS = ['corrected', 'maet'], [3, 0, 41]


def photograph() -> np.ndarray:
    return np.random.default_rng(5).integers(60, 256, (60, 80, 3), np.uint8)


def cells(grid: np.ndarray, rows: int, columns: int, height: int, width: int) -> list[list[np.ndarray]]:
    assert grid.shape == (rows * (height + HEADER + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    return [
        [
            grid[row * (height + HEADER + GAP) + HEADER :, column * (width + GAP) :][:height, :width]
            for column in range(columns)
        ]
        for row in range(rows)
    ]


def test_rows_are_presets_and_columns_are_seeds() -> None:
    image = photograph()
    grid = cells(dark_grid(image, PRESETS, SEEDS), 2, 4, 60, 80)
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    for preset, (light, *row) in zip(PRESETS, grid, strict=True):
        np.testing.assert_array_equal(light, image)
        for seed, cell in zip(SEEDS, row, strict=True):
            generator = torch.Generator().manual_seed(seed)
            parameters = sample_parameters(1, preset, generator)
            dark = darken(rgb, parameters, sample_noise((1, 3, 60, 80), preset, generator), preset)[0]
            wanted = dark.clamp(0, 1).permute(1, 2, 0).numpy()[..., ::-1] * 255
            assert np.abs(cell - wanted).max() <= 0.5 + 1e-3
            assert cell.mean() < light.mean()


def test_a_large_photograph_is_made_smaller_first() -> None:
    ((light, dark),) = cells(dark_grid(np.full((300, 900, 3), 200, np.uint8), ['corrected'], [0]), 1, 2, 140, 420)
    assert (light == 200).all() and dark.std() > 1


def test_a_thin_photograph_keeps_a_row() -> None:
    assert dark_grid(np.full((1, 900, 3), 200, np.uint8), ['corrected'], [0]).shape[0] == HEADER + 1


def test_the_title_holds_what_was_drawn() -> None:
    parameters = sample_parameters(1, 'maet', torch.Generator().manual_seed(7))
    words = in_short(parameters).replace(',', '').split()
    said = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    for name, value, tolerance in (
        ('k', parameters.darkness, 5e-4),
        ('gamma', parameters.gamma, 5e-3),
        ('shot', parameters.shot_noise, 0.05 * parameters.shot_noise.item()),
        ('read', parameters.read_noise, 0.05 * parameters.read_noise.item()),
        ('camera', parameters.camera, 0),
    ):
        assert said.pop(name) == pytest.approx(value.item(), abs=tolerance * 1.01)
    assert not said


@pytest.mark.parametrize(
    ('presets', 'seeds', 'line'),
    [
        (['night'], [0], 'no preset night: choose from dainet, maet, corrected'),
        ([], [0], 'choose from'),
        (['maet'], [], r'seeds \[\]: give'),
        (['maet'], [-1], r'seeds \[-1\]: give'),
    ],
)
def test_what_is_unknown_is_said(presets: list[str], seeds: list[int], line: str) -> None:
    with pytest.raises(InputError, match=line):
        dark_grid(photograph(), presets, seeds)
