"""Batching of (light, dark) pairs, and DarkISP on the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional as F

from mmdark.adaptation import DarkPairPreprocessor
from mmdark.dark_isp import darken, sample_noise, sample_parameters
from mmdark.errors import InputError

SIZES = [(10, 16), (12, 9)]
SCALE = dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True)


def preprocessor(dark_isp: str | None = None, **kwargs: object) -> DarkPairPreprocessor:
    own = dict(type='DetDataPreprocessor', **{**SCALE, **kwargs})
    return MODELS.build(dict(type='DarkPairPreprocessor', preprocessor=own, dark_isp=dark_isp))


def data_of(pairs: bool) -> dict:
    """A collated batch of two images, as the data loader gives it."""
    rng = np.random.default_rng(0)
    items = []
    for height, width in SIZES:
        light = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
        dark = torch.from_numpy(rng.random((3, height, width), dtype=np.float32) * 300 - 20)
        sample = DetDataSample(metainfo=dict(img_shape=(height, width)))
        sample.gt_instances = InstanceData(bboxes=HorizontalBoxes([[1.0, 2, 8, 9]]), labels=torch.zeros(1).long())
        items.append(dict(inputs=dict(light=light, dark=dark) if pairs else light, data_samples=sample))
    return pseudo_collate(items)


def batch_of(images: list[Tensor], height: int = 12, width: int = 16) -> Tensor:
    """RGB in [0, 1], filled with zeros at the right and at the bottom."""
    batch = torch.zeros(len(images), 3, height, width)
    for place, image in enumerate(images):
        for channel in range(3):
            batch[place, channel, : image.shape[1], : image.shape[2]] = image[2 - channel].float() / 255
    return batch


def check_samples(samples: list[DetDataSample], batch_shape: tuple[int, int], divisor: int = 1) -> None:
    """Each sample knows the batch's shape and its own, and keeps its face, as a tensor by now."""
    assert [sample.batch_input_shape for sample in samples] == [batch_shape] * len(SIZES)
    own = [tuple(-(-side // divisor) * divisor for side in size) for size in SIZES]
    assert [sample.pad_shape for sample in samples] == own
    for sample in samples:
        assert torch.equal(sample.gt_instances.bboxes, torch.tensor([[1.0, 2, 8, 9]]))


@pytest.mark.parametrize('training', [True, False])
def test_pairs(training: bool) -> None:
    data = data_of(pairs=True)
    wanted = {name: batch_of(images) for name, images in data['inputs'].items()}
    batch = preprocessor()(data, training)
    assert sorted(batch) == ['data_samples', 'inputs'] and sorted(batch['inputs']) == ['dark', 'light']
    for name, images in wanted.items():
        assert batch['inputs'][name].dtype == torch.float32
        assert torch.allclose(batch['inputs'][name], images, atol=1e-6)
    check_samples(batch['data_samples'], (12, 16))


def test_padding_to_a_divisor() -> None:
    data = data_of(pairs=True)
    wanted = {name: batch_of(images, 32, 32) for name, images in data['inputs'].items()}
    batch = preprocessor(pad_size_divisor=32)(data, True)
    assert all(torch.allclose(batch['inputs'][name], images, atol=1e-6) for name, images in wanted.items())
    check_samples(batch['data_samples'], (32, 32), divisor=32)


def test_single_images_pass_as_in_mmdet() -> None:
    data = data_of(pairs=False)
    wanted = batch_of(data['inputs'])
    for training in (True, False):
        batch = preprocessor()(data_of(pairs=False), training)
        assert torch.allclose(batch['inputs'], wanted, atol=1e-6)
    check_samples(batch['data_samples'], (12, 16))


@pytest.mark.parametrize('preset', ['dainet', 'maet', 'corrected'])
def test_dark_isp_on_the_device(preset: str) -> None:
    """Each image by itself, with a generator that its seed starts, is what the whole batch gives."""
    data = data_of(pairs=False)
    light = batch_of(data['inputs'])
    for seed, sample in zip((2**62 + 1, 5), data['data_samples'], strict=True):
        sample.set_metainfo(dict(random_seed=seed))
    batch = preprocessor(dark_isp=preset)(data, True)
    assert torch.allclose(batch['inputs']['light'], light, atol=1e-6)
    dark = batch['inputs']['dark']
    assert dark.shape == light.shape and not dark.requires_grad
    darknesses = []
    for image, found, seed, (height, width) in zip(light, dark, (2**62 + 1, 5), SIZES, strict=True):
        source = torch.Generator().manual_seed(seed)
        parameters = sample_parameters(1, preset, source)
        noise = torch.Generator().manual_seed(int(torch.randint(2**63 - 1, (), generator=source)))
        inside = image[None, :, :height, :width]
        wanted = darken(inside, parameters, sample_noise(inside.shape, preset, noise), preset)[0]
        assert torch.allclose(found[:, :height, :width], wanted, atol=1e-6)
        darknesses.append(float(parameters.darkness))
    assert len(set(darknesses)) == 2
    check_samples(batch['data_samples'], (12, 16))


def test_darkness_does_not_depend_on_the_batch_or_on_what_was_drawn_before() -> None:
    """Alone, and beside a larger image that pads it, an image is darkened alike; without a seed, anew each time."""
    both, alone = data_of(pairs=False), data_of(pairs=False)
    for data in (both, alone):
        for seed, sample in enumerate(data['data_samples']):
            sample.set_metainfo(dict(random_seed=seed))
    beside = preprocessor(dark_isp='corrected')(both, True)['inputs']['dark'][0, :, : SIZES[0][0], : SIZES[0][1]]
    torch.rand(3)
    one = preprocessor(dark_isp='corrected')({name: values[:1] for name, values in alone.items()}, True)
    assert torch.allclose(one['inputs']['dark'][0], beside, atol=1e-6)
    first, second = (preprocessor(dark_isp='corrected')(data_of(False), True)['inputs']['dark'] for _ in range(2))
    assert not torch.equal(first, second)


def test_no_darkness_in_testing() -> None:
    batch = preprocessor(dark_isp='dainet')(data_of(pairs=False), False)
    assert isinstance(batch['inputs'], Tensor)


def test_overshooting_floats_are_no_nan() -> None:
    data = data_of(pairs=False)
    data['inputs'] = [image.float() * 1.2 - 20 for image in data['inputs']]  # as cubic resizing of floats leaves them
    assert torch.isfinite(preprocessor(dark_isp='dainet')(data, True)['inputs']['dark']).all()


def test_batch_augments_treat_light_and_dark_alike() -> None:
    """Both halves are resized to one drawn size, and the faces with them, once."""
    resize = dict(type='BatchSyncRandomResize', random_size_range=(64, 64), size_divisor=32, interval=1)
    made = preprocessor(pad_size_divisor=16, batch_augments=[resize])
    MessageHub.get_current_instance().update_info('iter', 0)
    made(data_of(pairs=True), True)  # draws the size of the next batch, 64 pixels high
    data = data_of(pairs=True)
    padded = {name: batch_of(images, 16, 16) for name, images in data['inputs'].items()}
    batch = made(data, True)
    for name, images in padded.items():
        wanted = F.interpolate(images, size=(64, 64), mode='bilinear', align_corners=False)
        torch.testing.assert_close(batch['inputs'][name], wanted, rtol=1e-5, atol=1e-5)
    assert len(batch['data_samples']) == 2
    for sample in batch['data_samples']:
        assert sample.gt_instances.bboxes.tolist() == [[4.0, 8.0, 32.0, 36.0]]


NORMALISED = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


@pytest.mark.parametrize('rgb', [True, False])
@pytest.mark.parametrize('scale', [NORMALISED, dict(mean=None, std=None), dict(mean=[0, 0, 0], std=[255, 255, 255])])
def test_the_detectors_images_come_back_as_rgb_in_0_to_1(rgb: bool, scale: dict) -> None:
    """And go there again, whatever its mean, its scale and the order of its channels."""
    made = preprocessor(bgr_to_rgb=rgb, **scale)
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8))
    seen = made(dict(inputs=[image], data_samples=None))['inputs']
    torch.testing.assert_close(made.to_unit(seen), image.flip(0)[None] / 255.0, rtol=0, atol=1e-6)
    torch.testing.assert_close(made.from_unit(made.to_unit(seen)), seen, rtol=1e-5, atol=1e-4)
    assert made.is_unit == (rgb and scale['std'] == [255, 255, 255])
    assert (made.to_unit(seen) is seen) == made.is_unit


@pytest.mark.parametrize('rgb', [True, False])
def test_darkness_on_the_device_is_the_same_behind_any_scale(rgb: bool) -> None:
    darks = []
    for scale in (SCALE, dict(NORMALISED, bgr_to_rgb=rgb)):
        data = data_of(pairs=False)
        data['inputs'] = [image[:, :10, :9] for image in data['inputs']]
        for seed, sample in enumerate(data['data_samples']):
            sample.set_metainfo(dict(random_seed=seed))
        made = preprocessor('corrected', **scale)
        darks.append(made(data, True)['inputs']['dark'])
    torch.testing.assert_close(*darks, rtol=0, atol=1e-4)


class Doubling(DetDataPreprocessor):
    """Does something to images that nobody knows."""

    def forward(self, data: dict, training: bool = False) -> dict:
        batch = super().forward(data, training)
        return {**batch, 'inputs': 2 * batch['inputs']}


@pytest.mark.parametrize('kind', ['BaseDataPreprocessor', Doubling])
def test_another_preprocessor_is_refused(kind: str | type) -> None:
    with pytest.raises(InputError, match=r'^\w+ cannot prepare pairs: .* DetDataPreprocessor .*from_unit') as caught:
        MODELS.build(dict(type='DarkPairPreprocessor', preprocessor=dict(type=kind)))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('rgb', [True, False])
def test_one_that_says_how_to_get_there_is_used(rgb: bool) -> None:
    """The oracle is the preprocessor itself, on the dark images alone."""
    own = dict(type='LogPreprocessor', bgr_to_rgb=rgb)
    data = data_of(pairs=True)
    images = {name: [image.clamp(0, 255)[:, :10, :9] for image in data['inputs'][name]] for name in data['inputs']}
    made = MODELS.build(dict(type='DarkPairPreprocessor', preprocessor=own))
    inputs = made(dict(inputs=images, data_samples=None), True)['inputs']
    for name, unit in inputs.items():
        torch.testing.assert_close(unit, torch.stack(images[name]).flip(1) / 255.0, rtol=0, atol=1e-6)
        alone = MODELS.build(own)(dict(inputs=images[name], data_samples=None), True)['inputs']
        torch.testing.assert_close(made.from_unit(unit), alone, rtol=0, atol=1e-4)


def test_unknown_preset() -> None:
    with pytest.raises(InputError, match="'dusk'; choose one of dainet, maet, corrected"):
        preprocessor(dark_isp='dusk')
