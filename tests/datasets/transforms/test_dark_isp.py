"""DarkISP in the pipeline: the physics of ``mmdark.dark_isp`` on BGR arrays, repeatable by file name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmdark.dark_isp import darken, sample_noise, sample_parameters
from mmdark.datasets.transforms import DarkISP


def results_of(path: str = 'event/face_1.jpg', height: int = 12, width: int = 17) -> dict:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return dict(img=image, img_path=path)


@pytest.mark.parametrize('preset', ['dainet', 'maet', 'corrected'])
def test_equals_the_physics_on_rgb(preset: str) -> None:
    results = results_of()
    image = results['img'].copy()
    transform = DarkISP(preset, seed=3)
    parameters, noise = transform.sample(results)
    rgb = torch.stack([torch.from_numpy(image[..., channel].astype(np.float32)) for channel in (2, 1, 0)])[None] / 255
    expected = darken(rgb, parameters, noise, preset)[0] * 255
    dark = transform.transform(results)['dark_img']
    assert dark.dtype == np.float32 and dark.shape == image.shape and dark.flags['C_CONTIGUOUS']
    for channel in range(3):  # blue comes first in the pipeline and last in the physics
        assert np.array_equal(dark[..., channel], expected[2 - channel].numpy())


def test_keep_light() -> None:
    results = results_of()
    image = results['img'].copy()
    pair = DarkISP(seed=0, keep_light=True).transform(results)
    assert pair['img'] is results['img'] and np.array_equal(pair['img'], image)
    alone = DarkISP(seed=0, keep_light=False).transform(results_of())
    assert 'dark_img' not in alone
    assert np.array_equal(alone['img'], pair['dark_img'])
    assert alone['img'].mean() < 0.6 * image.mean()


def test_seed_and_file_name_decide() -> None:
    def dark(seed: int | None, path: str, state: int) -> np.ndarray:
        np.random.seed(state)  # noqa: NPY002
        torch.manual_seed(state)
        return DarkISP(seed=seed).transform(results_of(path))['dark_img']

    first = dark(0, 'here/a.jpg', 1)
    assert np.array_equal(first, dark(0, 'here/a.jpg', 2))
    assert np.array_equal(first, dark(0, '/another/machine/a.jpg', 3))
    assert not np.array_equal(first, dark(0, 'here/b.jpg', 1))
    assert not np.array_equal(first, dark(1, 'here/a.jpg', 1))


def test_without_a_seed_numpy_decides() -> None:
    transform, results = DarkISP(), results_of()
    np.random.seed(5)  # noqa: NPY002
    first, second = (transform.transform(dict(results))['dark_img'] for _ in range(2))
    assert not np.array_equal(first, second)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(99)
    assert np.array_equal(first, transform.transform(dict(results))['dark_img'])
    del results['img_path']  # needs no name
    assert transform.transform(results)['dark_img'].shape == (12, 17, 3)


def test_fixed_seed_leaves_the_random_state() -> None:
    np.random.seed(1)  # noqa: NPY002
    state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    DarkISP(seed=0).transform(results_of())
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(torch_state, torch.get_rng_state())


def test_given_parameters_are_applied() -> None:
    generator = torch.Generator().manual_seed(0)
    parameters, noise = sample_parameters(1, generator=generator), sample_noise((1, 3, 4, 5), generator=generator)
    image = np.full((4, 5, 3), (10, 100, 250), dtype=np.uint8)
    dark = DarkISP().apply(image, parameters, noise)
    rgb = torch.tensor([250.0, 100.0, 10.0]).view(1, 3, 1, 1).expand(1, 3, 4, 5) / 255
    assert np.array_equal(dark[..., ::-1].transpose(2, 0, 1), darken(rgb, parameters, noise)[0].numpy() * 255)


def test_overshooting_floats_are_no_nan() -> None:
    image = np.array([[[-3.0, 0.0, 258.0], [255.0, 256.0, 127.5]]], dtype=np.float32)
    dark = DarkISP(seed=0).transform(dict(img=image, img_path='a.png'))['dark_img']
    inside = DarkISP(seed=0).transform(dict(img=image.clip(0, 255), img_path='a.png'))['dark_img']
    assert np.isfinite(dark).all() and np.array_equal(dark, inside)


def test_unknown_preset() -> None:
    with pytest.raises(ValueError, match="'dusk'; choose one of dainet, maet, corrected"):
        DarkISP('dusk')


def test_repr_names_the_arguments() -> None:
    assert repr(DarkISP('maet', 7, False)) == "DarkISP(preset='maet', seed=7, keep_light=False)"
