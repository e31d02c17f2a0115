"""Batching of (light, dark) pairs, and DarkISP on the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch import Tensor

from mmdark.dark_isp import darken, sample_noise, sample_parameters
from mmdark.models import DarkPairPreprocessor

SIZES = [(10, 16), (12, 9)]
SCALE = dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True)


def preprocessor(**kwargs: object) -> DarkPairPreprocessor:
    return MODELS.build(dict(type='DarkPairPreprocessor', **{**SCALE, **kwargs}))


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


def test_unknown_preset() -> None:
    with pytest.raises(ValueError, match="'dusk'; choose one of dainet, maet, corrected"):
        preprocessor(dark_isp='dusk')
