"""A picture of the training batch shows what the network was given and found, and training does not notice."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import cv2
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmdark.drawing import GAP, GREEN, HEADER, MAGENTA, OUTLINE, brighten
from mmdark.engine.hooks import DrawTrainPanels
from tests.models.tiny_models import pair_of, samples_of, tiny_dai_net, tiny_dsfd
from tests.tiny_wider import lite_config, write_wider

HEIGHT = 64


class Canvas:
    """A visualizer that keeps what it is given."""

    def __init__(self) -> None:
        self.images: dict[tuple[str, int], np.ndarray] = {}

    def add_image(self, name: str, image: np.ndarray, step: int) -> None:
        self.images[name, step] = image


def raw(pair: dict[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
    """As a data loader gives it: BGR, 0-255."""
    return {key: list((images * 255).round().flip(1)) for key, images in pair.items()}


def draw(model: nn.Module, inputs: Any, iteration: int = 4, faces: Any = ((10, 12, 50, 40),), **options: Any) -> Canvas:
    """The hook after one iteration, on a batch of two; panels are as high as the images."""
    runner = SimpleNamespace(model=model, iter=iteration, visualizer=Canvas())
    batch = {'inputs': inputs, 'data_samples': samples_of(list(faces), list(faces))}
    DrawTrainPanels(**{'interval': 5, 'height': HEIGHT, **options}).after_train_iter(runner, 0, batch, {})
    return runner.visualizer


def split(picture: np.ndarray, rows: int = 1) -> list[list[np.ndarray]]:
    """The panels of each image, BGR, without titles; the images are 64 x 96."""
    picture = picture[..., ::-1].astype(int)
    assert picture.shape[0] == rows * (HEIGHT + HEADER)
    count = (picture.shape[1] + GAP) // (96 + GAP)
    return [
        [picture[row * (HEIGHT + HEADER) + HEADER :, column * (96 + GAP) :][:HEIGHT, :96] for column in range(count)]
        for row in range(rows)
    ]


def drawn_with(pixels: np.ndarray, *colours: tuple[int, int, int]) -> bool:
    """Whether each of the colours is there and no other."""
    return {tuple(pixel) for pixel in pixels.reshape(-1, 3).tolist()} == set(colours)


def preprocessed(model: nn.Module) -> nn.Module:
    """BGR 0-255 to RGB in [0, 1]; pads nothing."""
    model.data_preprocessor.pad_size_divisor = 1
    return model


def test_panels_are_what_the_network_was_given_and_made() -> None:
    model, pair = preprocessed(tiny_dai_net('max_rgb')), pair_of()
    inputs = raw(pair)
    canvas = draw(model, inputs, num_images=2, score_thr=1.1, teacher=True)
    assert list(canvas.images) == [('train_panels', 5)]
    for index, panels in enumerate(split(canvas.images['train_panels', 5], rows=2)):
        light, dark, reflectance, teacher, faces = panels
        np.testing.assert_array_equal(light, inputs['light'][index].permute(1, 2, 0))
        np.testing.assert_array_equal(dark, inputs['dark'][index].permute(1, 2, 0))
        rgb = inputs['dark'][index].flip(0)[None] / 255
        with torch.no_grad():
            model.eval()
            for panel, expected in (
                (reflectance, model.reflectance(rgb)[0]),
                (teacher, model.enhancer(rgb).reflectance[0]),
            ):
                wanted = expected.flip(0).permute(1, 2, 0).clamp(0, 1).numpy() * 255
                assert np.abs(panel - wanted).max() <= 0.51
        bright = brighten(inputs['dark'][index].permute(1, 2, 0).numpy().astype(np.uint8))
        painted = (faces != bright).any(2)
        assert drawn_with(faces[painted], MAGENTA, OUTLINE)
        assert (faces[12, 10:51] == MAGENTA).all() and (faces[12:41, 50] == MAGENTA).all()


def test_predictions_are_drawn_in_another_colour_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    model = preprocessed(tiny_dai_net('max_rgb'))

    def predict(inputs: torch.Tensor, samples: list, rescale: bool) -> list:
        assert not rescale and not model.training and inputs.shape == (1, 3, HEIGHT, 96) and inputs.max() <= 0.26
        for sample in samples:
            found = samples_of([[60, 30, 90, 60], [2, 2, 9, 9]])[0].gt_instances
            found.scores = torch.tensor([0.9, 0.2])
            sample.pred_instances = found
        return samples

    monkeypatch.setattr(model, 'predict', predict)
    *_, faces = split(draw(model, raw(pair_of()), score_thr=0.3).images['train_panels', 5])[0]
    green = (faces == GREEN).all(2)
    assert green[60, 60:90].all() and green[40:60, 90].all() and not green[:15, :15].any()
    assert (faces[12, 10:51] == MAGENTA).all()


def test_without_a_decoder_there_is_no_reflectance() -> None:
    assert (
        len(split(draw(preprocessed(tiny_dai_net('none')), raw(pair_of()), teacher=True).images['train_panels', 5])[0])
        == 3
    )


def test_a_day_detector_gets_light_and_its_faces_on_light() -> None:
    inputs = raw(pair_of())['light']
    light, faces = split(draw(preprocessed(tiny_dsfd()), inputs, score_thr=1.1).images['train_panels', 5])[0]
    np.testing.assert_array_equal(light, inputs[0].permute(1, 2, 0))
    painted = (faces != light).any(2)
    assert drawn_with(faces[painted], MAGENTA, OUTLINE) and (faces[40, 10:51] == MAGENTA).all()


def test_darkness_made_on_the_device_is_the_one_that_was_trained_on() -> None:
    model = preprocessed(tiny_dai_net('none'))
    model.data_preprocessor.dark_isp = 'corrected'
    samples = samples_of([], [])
    for seed, sample in enumerate(samples):
        sample.set_metainfo({'random_seed': seed + 5})
    inputs = raw(pair_of())['light']
    given = model.data_preprocessor({'inputs': inputs, 'data_samples': samples}, training=True)['inputs']['dark']
    runner = SimpleNamespace(model=model, iter=0, visualizer=Canvas())
    hook = DrawTrainPanels(interval=1, height=HEIGHT, num_images=2)
    hook.after_train_iter(runner, 0, {'inputs': inputs, 'data_samples': samples}, {})
    for row, dark in zip(split(runner.visualizer.images['train_panels', 1], rows=2), given, strict=True):
        assert np.abs(row[1] - dark.flip(0).permute(1, 2, 0).numpy() * 255).max() <= 0.51


@pytest.mark.parametrize(('height', 'width'), [(32, 48), (192, 288)])
def test_panels_have_the_height_that_is_asked_for(height: int, width: int) -> None:
    """Boxes are scaled along."""
    canvas = draw(preprocessed(tiny_dsfd()), raw(pair_of())['light'], height=height, score_thr=1.1)
    picture = canvas.images['train_panels', 5][..., ::-1].astype(int)
    assert picture.shape == (height + HEADER, 2 * width + GAP, 3)
    ys, xs = np.nonzero((picture[HEADER:, width + GAP :] == MAGENTA).all(2))
    scale = height / HEIGHT
    assert np.abs(np.array([xs.min(), ys.min(), xs.max(), ys.max()]) - np.array([10, 12, 50, 40]) * scale).max() <= 1


def test_only_every_interval_and_only_in_the_main_process(monkeypatch: pytest.MonkeyPatch) -> None:
    model = preprocessed(tiny_dsfd())
    drawn = [iteration for iteration in range(12) if draw(model, raw(pair_of())['light'], iteration).images]
    assert drawn == [4, 9]
    monkeypatch.setattr('mmdark.engine.hooks.draw_train_panels.is_main_process', lambda: False)
    assert not draw(model, raw(pair_of())['light']).images


class Weights(Hook):
    """Keeps what the model and the random numbers are after the last iteration."""

    priority = 'LOWEST'

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        self.state = {name: value.clone() for name, value in runner.model.state_dict().items()}
        self.random = torch.get_rng_state(), runner.model.training


def test_training_is_the_same_with_and_without(tmp_path: Path) -> None:
    """Bit for bit, batch norm's statistics and the random numbers included; the pictures lie where they should."""
    root = write_wider(tmp_path / 'wider', train=4, val=1)
    kept = []
    for interval in (1, 1000):
        options = {
            'default_hooks.draw_train_panels': {'type': 'DrawTrainPanels', 'interval': interval},
            'visualizer.name': uuid4().hex,  # mmengine keeps one for each name in a process
        }
        runner = Runner.from_cfg(lite_config(root, tmp_path / str(interval), 3, options))
        weights = Weights()
        runner.register_hook(weights)
        runner.train()
        kept.append(weights)
        pictures = sorted(path.name for path in Path(runner.log_dir).rglob('*.png'))
        assert pictures == [f'train_panels_{step}.png' for step in (1, 2, 3) if interval == 1]
        if interval == 1:
            picture = cv2.imread(str(next(Path(runner.log_dir).rglob('train_panels_3.png'))))
            assert picture.shape == (480 + HEADER, 4 * 480 + 3 * GAP, 3)
    with_pictures, without = kept
    assert any('running_mean' in name for name in without.state)
    assert all(torch.equal(value, without.state[name]) for name, value in with_pictures.state.items())
    assert torch.equal(with_pictures.random[0], without.random[0]) and with_pictures.random[1] and without.random[1]
