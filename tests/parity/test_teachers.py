"""Teachers side by side: each measure by an independent formula, and the one that comes with mmdark on real images."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdark.adaptation import Decomposition
from mmdark.adaptation.losses import illumination_smoothness
from mmdark.dark_isp import darken, sample_noise, sample_parameters
from mmdark.datasets import DarkISP
from mmdark.errors import InputError
from parity.teachers import (
    MEASURES,
    Pair,
    choose_images,
    draw_teachers,
    load_teacher,
    markdown_table,
    measure,
    read_pairs,
)

DATA = Path(__file__).resolve().parents[3] / 'shared' / 'data'
PUBLISHED = DATA / 'weights' / 'retinexnet_decom_9200.tar'
PHOTOGRAPHS = DATA / 'wider' / 'WIDER_val'
OURS = 'mmdark://retinexnet_wider.pth'


def random_pair(seed: int = 0) -> tuple[Pair, Decomposition, Decomposition]:
    generator = torch.Generator().manual_seed(seed)
    light, dark, r_light, r_dark = torch.rand(4, 1, 3, 5, 7, generator=generator)
    i_light, i_dark = torch.rand(2, 1, 1, 5, 7, generator=generator)
    return Pair('a.jpg', light, dark / 4), Decomposition(r_light, i_light), Decomposition(r_dark, i_dark)


def test_measures_by_loops() -> None:
    pair, *decompositions = random_pair()
    measured = measure(pair, *decompositions)
    assert measured.keys() == MEASURES.keys()
    for kind, image, parts in zip(('light', 'dark'), (pair.light, pair.dark), decompositions, strict=True):
        (r, i), s = (part[0].double().numpy() for part in parts), image[0].double().numpy()
        rows, columns = s.shape[1:]
        cells = [(row, column) for row in range(rows) for column in range(columns)]
        error = sum(abs(r[c, y, x] * i[0, y, x] - s[c, y, x]) for c in range(3) for y, x in cells) / (3 * len(cells))
        along_x = [abs(i[0, y, x] - i[0, y, x - 1]) for y, x in cells if x]
        along_y = [abs(i[0, y, x] - i[0, y - 1, x]) for y, x in cells if y]
        assert measured[f'reconstruction_{kind}'] == pytest.approx(error, rel=1e-5)
        assert measured[f'gradient_{kind}'] == pytest.approx(np.mean(along_x) + np.mean(along_y), rel=1e-5)
        assert measured[f'illumination_{kind}'] == pytest.approx(i.mean(), rel=1e-5)
        assert measured[f'smoothness_{kind}'] == float(illumination_smoothness(parts.illumination, parts.reflectance))
    apart = np.abs(decompositions[0].reflectance.numpy() - decompositions[1].reflectance.numpy()).mean()
    assert measured['consistency'] == pytest.approx(apart, rel=1e-5)


def test_a_teacher_that_takes_all_for_reflectance() -> None:
    """White, even light: nothing is lost, the light is smooth, and light and dark agree in nothing."""
    pair, *_ = random_pair()
    white = torch.ones(1, 1, 5, 7)
    measured = measure(pair, Decomposition(pair.light, white), Decomposition(pair.dark, white))
    assert measured['reconstruction_light'] == measured['reconstruction_dark'] == measured['gradient_light'] == 0
    assert measured['consistency'] == pytest.approx(float((pair.light - pair.dark).abs().mean()))


def test_table_of_means_and_standard_errors() -> None:
    values = [0.1, 0.4, 0.3]
    a, b = ([dict.fromkeys(MEASURES, value) for value in of_one] for of_one in (values, [2.0]))
    table = markdown_table({'a': a, 'b': b}, 'n')
    head, _, *rows = table.splitlines()
    assert head == '| n | a | b |' and len(rows) == len(MEASURES)
    error = (sum((v - 0.8 / 3) ** 2 for v in values) / 2 / 3) ** 0.5
    for row, label in zip(rows, MEASURES.values(), strict=True):
        assert re.split(r' \| ', row.strip('| ')) == [label, f'0.2667 ± {error:.4f}', '2.0000']


def write_images(folder: Path, names: list[str], size: tuple[int, int] = (64, 40)) -> None:
    for seed, name in enumerate(names):
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)


def test_images_are_chosen_by_a_fixed_rule(tmp_path: Path) -> None:
    names = [f'{event}/{number}.png' for event in 'ab' for number in range(5)]
    write_images(tmp_path, names, (4, 4))
    (tmp_path / 'a' / 'notes.txt').write_text('no image')
    chosen = [path.relative_to(tmp_path).as_posix() for path in choose_images(tmp_path, 4)]
    assert chosen == ['a/0.png', 'a/2.png', 'b/0.png', 'b/2.png']
    assert [path.relative_to(tmp_path).as_posix() for path in choose_images(tmp_path, 99)] == names


def test_where_there_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='holds no image: name a folder'):
        choose_images(tmp_path, 4)
    with pytest.raises(InputError, match='is no folder'):
        choose_images(tmp_path / 'none', 4)
    with pytest.raises(InputError, match='--number 0: at least one'):
        choose_images(tmp_path, 0)


def test_pairs_are_read_as_rgb_shrunk_and_darkened_by_name(tmp_path: Path) -> None:
    write_images(tmp_path, ['a.png'])
    (pair,) = read_pairs([tmp_path / 'a.png'], seed=3, long_side=200)
    pixels = torch.from_numpy(np.array(Image.open(tmp_path / 'a.png'))).permute(2, 0, 1)[None]
    assert pair.name == 'a.png' and torch.equal(pair.light, pixels.float() / 255)
    parameters, noise = DarkISP(seed=3).sample({'img': np.zeros((40, 64, 3)), 'img_path': 'elsewhere/a.png'})
    torch.testing.assert_close(pair.dark, darken(pair.light, parameters, noise, 'corrected'), atol=1e-6, rtol=0)
    (small,) = read_pairs([tmp_path / 'a.png'], seed=3, long_side=32)
    assert small.light.shape == small.dark.shape == (1, 3, 20, 32)
    assert torch.allclose(small.light, torch.nn.functional.avg_pool2d(pair.light, 2), atol=0.01)
    generator = torch.Generator().manual_seed(0)
    other = darken(pair.light, sample_parameters(1, generator=generator), sample_noise((1, 3, 40, 64)), 'corrected')
    assert not torch.allclose(pair.dark, other, atol=1e-3)


def test_a_picture_shows_every_part(tmp_path: Path) -> None:
    """Red light image, green reflectance: the colours stand in their columns, light above dark."""
    size = (1, 3, 20, 30)
    red, green = torch.zeros(size), torch.zeros(size)
    red[:, 0], green[:, 1] = 1.0, 1.0
    grey = torch.full((1, 1, 20, 30), 0.5)
    of_light, of_dark = Decomposition(green, grey), Decomposition(green / 2, grey / 2)
    draw_teachers(tmp_path / 'new' / 'a.png', Pair('a', red, red / 4), {'ours': (of_light, of_dark)})
    pixels = np.array(Image.open(tmp_path / 'new' / 'a.png').convert('RGB'))
    height, width = pixels.shape[:2]
    seen = [[tuple(pixels[int(height * y), int(width * x)]) for x in (0.2, 0.5, 0.85)] for y in (0.35, 0.8)]
    expected = [[(255, 0, 0), (0, 255, 0), (128, 128, 128)], [(64, 0, 0), (0, 128, 0), (64, 64, 64)]]
    np.testing.assert_allclose(seen, expected, atol=1)


@pytest.mark.skipif(not (PUBLISHED.is_file() and PHOTOGRAPHS.is_dir()), reason=f'no teacher or no images in {DATA}')
def test_our_teacher_loses_no_more_than_the_published_one() -> None:
    """On held-back real images, smaller and fewer than in docs/teacher.md: light and darkened."""
    teachers = load_teacher(OURS), load_teacher(str(PUBLISHED))
    measured = [
        [measure(pair, teacher(pair.light), teacher(pair.dark)) for teacher in teachers]
        for pair in read_pairs(choose_images(PHOTOGRAPHS, 10), long_side=160)
    ]
    for kind in ('reconstruction_light', 'reconstruction_dark'):
        ours, published = np.mean([[of_one[kind] for of_one in of_image] for of_image in measured], axis=0)
        assert 0 < ours <= published < 0.1
