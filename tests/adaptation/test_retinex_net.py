"""The Retinex teachers: frozen, and what they say an image is made of."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.model import BaseModule
from scipy.ndimage import uniform_filter
from torch.nn import functional as F

from mmdark.adaptation import MaxRGBRetinex, RetinexNet
from mmdark.apis import config_path, convert_file
from mmdark.models.published_files import weight_path

DATA = Path(__file__).resolve().parents[3] / 'shared' / 'data'
WEIGHTS = DATA / 'weights' / 'retinexnet_decom_9200.tar'
OURS = 'mmdark://retinexnet_wider.pth'
PHOTOS = sorted((DATA / 'dark_photos').glob('*.*g'))


class Student(BaseModule):
    """Something with a teacher inside."""

    def __init__(self, teacher: BaseModule) -> None:
        super().__init__()
        self.learned = torch.nn.Conv2d(3, 3, 1)
        self.teacher = teacher


@pytest.mark.parametrize(
    'teacher',
    [RetinexNet(8, init_cfg=dict(type='Xavier', layer='Conv2d')), MaxRGBRetinex()],
    ids=['RetinexNet', 'MaxRGBRetinex'],
)
def test_frozen_by_itself(teacher: BaseModule) -> None:
    student = Student(teacher).train()
    _check_frozen(student, teacher)
    student.init_weights()
    _check_frozen(student.train(), teacher)


def _check_frozen(student: Student, teacher: BaseModule) -> None:
    assert student.learned.training and not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    images = torch.rand(1, 3, 9, 11, requires_grad=True)
    for answer in teacher(images):
        assert not answer.requires_grad
        assert answer.min() >= 0 and answer.max() <= 1


def test_unfrozen_it_learns() -> None:
    net = RetinexNet(8, frozen=False, init_cfg=dict(type='Xavier', layer='Conv2d'))
    net.init_weights()
    assert net.training and not net.eval().training and all(one.requires_grad for one in net.train().parameters())
    reflectance, illumination = net(torch.rand(1, 3, 9, 11))
    (reflectance.mean() + illumination.mean()).backward()
    assert all(one.grad.abs().max() > 0 for one in net.parameters())
    with torch.no_grad():
        assert not any(answer.requires_grad for answer in net(torch.rand(1, 3, 9, 11)))


def test_retinex_net_is_the_published_chain() -> None:
    torch.manual_seed(0)
    net, images = RetinexNet(6), torch.rand(2, 3, 9, 12)
    convs = [net.entry, *net.hidden, net.exit]
    x = torch.cat([torch.maximum(torch.maximum(images[:, :1], images[:, 1:2]), images[:, 2:]), images], 1)
    for place, conv in enumerate(convs):
        reach = 4 if place == 0 else 1
        x = F.conv2d(F.pad(x, (reach,) * 4, mode='replicate'), conv.weight, conv.bias)
        x = x.relu() if 0 < place < 6 else x
    reflectance, illumination = net(images)
    assert torch.allclose(reflectance, x[:, :3].sigmoid(), atol=1e-6)
    assert torch.allclose(illumination, x[:, 3:].sigmoid(), atol=1e-6)
    assert reflectance.std() > 1e-3


def test_published_names_cover_the_net() -> None:
    net = RetinexNet()
    names = net.published_names()
    assert sorted(names.values()) == sorted(net.state_dict())
    assert {name.rsplit('.', 1)[0] for name in names} == {
        'net1_conv0',
        'net1_recon',
        *(f'net1_convs.{place}' for place in (0, 2, 4, 6, 8)),
    }


@pytest.mark.parametrize('kernel_size', [5, 15])
def test_max_rgb_against_scipy(kernel_size: int) -> None:
    images = torch.rand(1, 3, 21, 30, generator=torch.Generator().manual_seed(0)) ** 3
    smooth = images[0].double().numpy().max(0)
    for _ in range(3):  # a box filter that counts only what lies inside
        inside = uniform_filter(np.ones_like(smooth), kernel_size, mode='constant')
        smooth = uniform_filter(smooth, kernel_size, mode='constant') / inside
    illumination = MaxRGBRetinex(kernel_size)(images).illumination
    np.testing.assert_allclose(illumination[0, 0].numpy(), smooth.clip(min=0.01), rtol=1e-4)


def test_max_rgb_divides() -> None:
    images = torch.rand(2, 3, 40, 50, generator=torch.Generator().manual_seed(1))
    images[:, :, :, 30:] = 0  # darker than the floor
    reflectance, illumination = MaxRGBRetinex(kernel_size=5, floor=0.02)(images)
    unclipped = reflectance < 1
    assert 0.5 < unclipped.float().mean() < 1
    assert torch.allclose((reflectance * illumination)[unclipped], images[unclipped], atol=1e-6)
    assert (images >= illumination)[~unclipped].all()
    assert illumination.min() == pytest.approx(0.02)


def test_max_rgb_leaves_a_lit_wall_white() -> None:
    wall = torch.linspace(0.2, 0.8, 64).expand(1, 3, 64, 64) * torch.tensor([1.0, 0.5, 0.25]).view(1, 3, 1, 1)
    reflectance = MaxRGBRetinex()(wall).reflectance[..., 25:-25]
    assert torch.allclose(reflectance.mean(dim=(0, 2, 3)), torch.tensor([1.0, 0.5, 0.25]), atol=0.01)


def test_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match='must be odd, got 4'):
        MaxRGBRetinex(kernel_size=4)


def trained_teacher(checkpoint: str) -> RetinexNet:
    init = dict(type='PublishedWeights', checkpoint=checkpoint, source='the shelf', without='nothing')
    teacher = RetinexNet(init_cfg=init)
    teacher.init_weights()
    return teacher


def test_the_teacher_that_comes_with_mmdark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain torch reads it, and the main config has it from any directory, with nothing downloaded."""
    monkeypatch.chdir(tmp_path)
    shipped = torch.load(weight_path(OURS), weights_only=True)
    assert sum(value.numel() for value in shipped['state_dict'].values()) == 207748
    assert {value.dtype for value in shipped['state_dict'].values()} == {torch.float32}
    assert 'WIDER FACE' in shipped['meta']['data']
    teacher = MODELS.build(Config.fromfile(config_path('dsfd_dark_wider.py')).model.enhancer)
    teacher.init_weights()
    assert teacher.frozen and teacher.state_dict().keys() == shipped['state_dict'].keys()
    assert all(torch.equal(value, shipped['state_dict'][name]) for name, value in teacher.state_dict().items())


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f'no published teacher in {DATA}')
def test_a_published_teacher_converts(tmp_path: Path) -> None:
    convert_file(WEIGHTS, tmp_path / 'retinex.pth', model='retinexnet')
    converted = torch.load(tmp_path / 'retinex.pth', weights_only=True)['state_dict']
    published = trained_teacher(str(WEIGHTS)).state_dict()
    assert all(torch.equal(value, converted[name]) for name, value in published.items())


@pytest.mark.skipif(not (WEIGHTS.is_file() and PHOTOS), reason=f'no published teacher and dark photographs in {DATA}')
@pytest.mark.parametrize('checkpoint', [str(WEIGHTS), OURS], ids=['published', 'ours'])
def test_trained_teacher_on_real_photographs(checkpoint: str) -> None:
    """It takes photographs of real nights apart, and nothing is lost."""
    trained, untrained = trained_teacher(checkpoint), RetinexNet()
    for photo in PHOTOS:
        picture = cv2.imread(str(photo))
        scale = 240 / max(picture.shape)
        pixels = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = torch.from_numpy(np.ascontiguousarray(pixels[..., ::-1])).permute(2, 0, 1)[None] / 255
        errors = []
        for teacher in (trained, untrained):
            reflectance, illumination = teacher(image)
            errors.append(float((reflectance * illumination - image).abs().mean()))
        assert errors[0] <= 0.01 and errors[0] < errors[1] / 5
        reflectance, illumination = trained(image)
        assert reflectance.mean() > 2 * image.mean()  # the dark is in the illumination
        lit = F.avg_pool2d(illumination, 16).flatten()
        bright = F.avg_pool2d(image.amax(1, keepdim=True), 16).flatten()
        assert torch.corrcoef(torch.stack([lit, bright]))[0, 1] > 0.8  # it sees where the light is
