"""DAI-Net's wiring: what a step returns, who learns from it, and that testing knows only the detector."""

from __future__ import annotations

from copy import deepcopy
from unittest.mock import patch

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from torch import Tensor, nn

from mmdark.adaptation import DarkPair
from mmdark.adaptation.losses import (
    decomposition_loss,
    illumination_smoothness,
    mutual_alignment,
    reconstruction_loss,
)
from mmdark.compat import read_checkpoint
from mmdark.errors import InputError
from mmdark.models.published_files import weight_path
from tests.models.tiny_models import CONFIGS, pair_of, samples_of, tiny, tiny_dai_net

FACES = ([[10.0, 12, 30, 34], [60, 20, 70, 32]], [])
DETECTION = {'pal1_loss_cls', 'pal1_loss_bbox', 'pal2_loss_cls', 'pal2_loss_bbox'}
RETINEX = {f'loss_{name}' for name in ('decomposition', 'consistency', 'reconstruction', 'smoothness', 'coherence')}
ROOMS = (
    *(
        'backbone.stages.0',
        'backbone.stages.4',
        'backbone.fc',
        'backbone.extras.1',
        'neck.topdown.0',
        'neck.laterals.0',
    ),
    *('neck.enhance.0', 'neck.l2norm_original.0', 'neck.l2norm_enhanced.0'),
    *('bbox_head.first_shot', 'bbox_head.second_shot', 'reflectance_decoder'),
)


def total(model: nn.Module, losses: dict) -> Tensor:
    return model.parse_losses(losses)[0]


@pytest.mark.parametrize('teacher', ['retinex', 'max_rgb', 'none'])
@pytest.mark.parametrize('faces', [FACES, ([], [])], ids=['faces', 'no face at all'])
def test_step_teaches_every_parameter_but_the_teacher(teacher: str, faces: tuple) -> None:
    model = tiny_dai_net(teacher)
    losses = model(pair_of(), samples_of(*faces), mode='loss')
    assert set(losses) == DETECTION | {'loss_mutual'} | (RETINEX if teacher != 'none' else set())
    loss = total(model, losses)
    assert torch.isfinite(loss)
    loss.backward()
    learned = {name.removeprefix('detector.'): p.grad for name, p in model.named_parameters() if p.requires_grad}
    unused = [name for name, gradient in learned.items() if gradient is None]
    assert not unused
    assert all(torch.isfinite(gradient).all() for gradient in learned.values())
    assert not any(name.startswith('enhancer') for name in learned)
    assert any(name.startswith('reflectance_decoder') for name in learned) == (teacher != 'none')
    if faces[0]:  # levels without a matched face learn nothing in this step
        for room in ROOMS[: len(ROOMS) - (teacher == 'none')]:
            assert any(gradient.any() for name, gradient in learned.items() if name.startswith(room)), room


def test_teacher_stays_through_a_step() -> None:
    model = tiny_dai_net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1))
    optimizer.update_params(total(model, model(pair_of(), samples_of(*FACES), mode='loss')))
    assert not any(module.training for module in model.enhancer.modules())
    assert all(p.grad is None and not p.requires_grad for p in model.enhancer.parameters())
    same = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    assert {name for name in before if name.startswith('enhancer.')} <= same
    assert not [name for name in same if name.startswith(('backbone.stages', 'reflectance_decoder', 'neck.l2norm'))]


def test_losses_are_wired_as_the_reference_says() -> None:
    """Each term put together again from the model's parts and plain formulas."""
    model, pair = tiny_dai_net('max_rgb').eval(), pair_of(size=(48, 64))
    samples = samples_of(*FACES, size=(48, 64))
    light, dark = pair['light'], pair['dark']
    with torch.no_grad():
        losses = model.loss(pair, samples)
        teacher = {name: model.enhancer(image) for name, image in pair.items()}
        r_light, r_dark = model.reflectance(light), model.reflectance(dark)
        x_dark, x_light = teacher['dark'].illumination * r_light, teacher['light'].illumination * r_dark
        backbone = model.detector.backbone
        shallow = {name: backbone.stem(x) for name, x in (*pair.items(), ('xl', x_light), ('xd', x_dark))}

        def mse(one: Tensor, other: Tensor) -> Tensor:
            return (one - other).square().mean()

        wanted = dict(
            loss_consistency=0.1 * 0.01 * mse(r_dark, r_light),
            loss_coherence=0.1
            * 0.001
            * (mse(model.reflectance(x_light), r_dark) + mse(model.reflectance(x_dark), r_light)),
            loss_decomposition=decomposition_loss(r_dark, teacher['dark'].reflectance)
            + decomposition_loss(r_light, teacher['light'].reflectance),
            loss_reconstruction=0.1
            * (
                reconstruction_loss(r_dark, teacher['dark'].illumination, dark)
                + reconstruction_loss(r_light, teacher['light'].illumination, light)
            ),
            loss_smoothness=0.1
            * 0.5
            * (
                illumination_smoothness(teacher['dark'].illumination, r_dark)
                + illumination_smoothness(teacher['light'].illumination, r_light)
            ),
            loss_mutual=0.1
            * (mutual_alignment(shallow['light'], shallow['dark']) + mutual_alignment(shallow['xl'], shallow['xd'])),
        )
        detection = model.detector.bbox_head.loss(model.extract_feat(dark), samples)
    for name, value in wanted.items():
        assert float(losses[name]) == pytest.approx(float(value), rel=1e-3, abs=1e-9), name
        assert float(value) > 0
    for name in DETECTION:  # on the dark image alone
        assert float(losses[name]) == pytest.approx(float(detection[name]), rel=1e-4)


def test_without_teacher_only_alignment_is_added() -> None:
    model, pair = tiny_dai_net('none'), pair_of()
    with torch.no_grad():
        losses = model.loss(pair, samples_of(*FACES))
        stem = model.detector.backbone.stem
        mutual = 0.1 * mutual_alignment(stem(pair['light']), stem(pair['dark']))
    assert float(losses['loss_mutual']) == pytest.approx(float(mutual), rel=1e-3)
    assert not hasattr(model, 'reflectance_decoder')
    with pytest.raises(ValueError, match='enhancer=None'):
        model.reflectance(pair['dark'])


def test_what_cannot_train_is_refused() -> None:
    model = tiny(Config.fromfile(CONFIGS / 'dsfd_dark_wider.py').model)
    model.enhancer = dict(type='MaxRGBRetinex')
    with pytest.raises(InputError, match=r"model\.recomposition='swapped': choose one of"):
        MODELS.build({**model, 'recomposition': 'swapped'})
    losses = {**model.losses, **dict.fromkeys(('decomposition', 'consistency', 'reconstruction', 'smoothness'))}
    nothing = {**model, 'losses': losses, 'recomposition': None}
    with pytest.raises(InputError, match='no loss teaches the reflectance decoder'):
        MODELS.build(nothing)  # without recomposed images coherence teaches nothing
    MODELS.build({**nothing, 'recomposition': 'own'})
    MODELS.build({**nothing, 'enhancer': None})


def test_recomposition_is_detached() -> None:
    """What the images are recomposed of learns nothing from their second decomposition."""
    model, pair = tiny_dai_net(), pair_of()
    seen: list[Tensor] = []
    stem = model.detector.backbone.stem

    def watched(images: Tensor) -> Tensor:
        seen.append(images)
        return stem(images)

    with patch.object(model.detector.backbone, 'stem', watched):
        model.loss(pair, samples_of(*FACES))
    assert len(seen) == 2 and not any(images.requires_grad for images in seen)
    light, dark = pair['light'], pair['dark']
    assert torch.equal(seen[0], torch.cat([light, dark]))
    with torch.no_grad():
        again_light = model.enhancer(light).illumination * model.reflectance(dark)
        again_dark = model.enhancer(dark).illumination * model.reflectance(light)
    assert torch.allclose(seen[1], torch.cat([again_light, again_dark]), atol=1e-6)


def test_predict_and_tensor_ignore_the_dark_branches() -> None:
    model, images, samples = tiny_dai_net().eval(), pair_of()['dark'], samples_of(*FACES)
    head = model.detector.bbox_head
    head.second_shot.test_cfg.score_thr = 0.2
    with torch.no_grad():
        found = model(images, samples, mode='predict')
        raw = model(images, samples, mode='tensor')
        broken = [model.enhancer, model.reflectance_decoder, head.first_shot, model.losses.mutual]
        with patch.object(nn.Module, '__call__', _refuse(broken, nn.Module.__call__)):
            again = model(images, samples_of(*FACES), mode='predict')
            raw_again = model(images, samples, mode='tensor')
    assert all(isinstance(sample, DetDataSample) for sample in found)
    for one, other in zip(found, again, strict=True):
        assert len(one.pred_instances) > 0
        assert torch.equal(one.pred_instances.bboxes, other.pred_instances.bboxes)
    assert [tuple(level.shape) for level in raw[0]] == [
        (2, 2, -(-64 // stride), -(-96 // stride)) for stride in (4, 8, 16, 32, 64, 128)
    ]
    for one, other in zip((*raw[0], *raw[1]), (*raw_again[0], *raw_again[1]), strict=True):
        assert torch.equal(one, other)


def _refuse(broken: list[nn.Module], call: object) -> object:
    inside = {id(module) for parent in broken for module in parent.modules()}

    def checked(self: nn.Module, *args: object, **kwargs: object) -> object:
        assert id(self) not in inside, f'{type(self).__name__} has no business at test time'
        return call(self, *args, **kwargs)

    return checked


def test_odd_sizes() -> None:
    size = (51, 67)
    model = tiny_dai_net('max_rgb')
    losses = model(pair_of(size=size), samples_of(*FACES, size=size), mode='loss')
    assert torch.isfinite(total(model, losses))
    with torch.no_grad():
        assert tuple(model.reflectance(pair_of(size=size)['dark']).shape) == (2, 3, *size)


def test_train_step_from_the_data_loader() -> None:
    """Raw bytes in, log out: preprocessor, losses and optimiser together."""
    model = tiny_dai_net()
    rng = np.random.default_rng(0)
    light = [torch.from_numpy(rng.integers(0, 256, (3, 64, 96), dtype=np.uint8)) for _ in range(2)]
    data = dict(inputs=dict(light=light, dark=[image.float() / 4 for image in light]), data_samples=samples_of(*FACES))
    log = model.train_step(data, OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-4)))
    log = {name: float(value.detach()) for name, value in log.items()}
    assert DETECTION | RETINEX | {'loss_mutual', 'loss'} == set(log)
    assert log.pop('loss') == pytest.approx(sum(log.values()), rel=1e-5)
    found = model.eval().test_step(dict(inputs=light, data_samples=samples_of(*FACES)))
    assert len(found) == 2 and all('pred_instances' in sample for sample in found)


def test_mixed_precision_step_is_finite_and_near() -> None:
    model = tiny_dai_net()
    with torch.no_grad():
        exact = total(model, model.loss(pair_of(), samples_of(*FACES)))
        with torch.autocast('cpu', dtype=torch.bfloat16):
            mixed = total(model, model.loss(pair_of(), samples_of(*FACES)))
    assert mixed.dtype == torch.float32
    assert float(mixed) == pytest.approx(float(exact), rel=0.05)


def test_checkpoints_have_the_detectors_own_names() -> None:
    """Those of before, too, and whoever collects them: torch, mmengine's Runner, or its moving averages."""
    model = tiny_dai_net()
    rooms = {name.split('.')[0] for name in model.state_dict()}
    assert rooms == {'backbone', 'neck', 'bbox_head', 'enhancer', 'reflectance_decoder'}
    state = {name: torch.randn_like(value) for name, value in model.state_dict().items()}
    for one in (model, deepcopy(model), ExponentialMovingAverage(model).module):
        one.load_state_dict(state)
        assert list(get_state_dict(one)) == list(one.state_dict()) == list(state)
        assert all(torch.equal(value, state[name]) for name, value in get_state_dict(one).items())
        load_state_dict(one, {name: value + 1 for name, value in state.items()}, strict=True)
        assert all(torch.equal(value, state[name] + 1) for name, value in one.state_dict().items())
    with pytest.raises(RuntimeError, match=r'Unexpected key.*detector\.roof'):
        model.load_state_dict({**state, 'roof': torch.zeros(1)})
    wrapped = nn.Sequential(model)
    assert list(wrapped.state_dict()) == [f'0.{name}' for name in state]
    wrapped.load_state_dict({f'0.{name}': value for name, value in state.items()})


def test_the_weights_that_come_with_mmdark_fit() -> None:
    shipped = read_checkpoint(weight_path('mmdark://dsfd_dark_lite_wider.pth'), 'cpu')['state_dict']
    model = MODELS.build(Config.fromfile(CONFIGS / 'dsfd_dark_lite_wider.py').model)
    model.load_state_dict(shipped)


def test_a_config_from_before_says_what_to_change() -> None:
    model = Config.fromfile(CONFIGS / 'dsfd_dark_wider.py').model
    before = {**model.detector, 'type': 'DAINet', 'enhancer': None, 'loss_mutual': model.losses.mutual}
    with pytest.raises(InputError, match=r'^DAINet is built around a detector: put .* into model\.detector='):
        MODELS.build(before)


def test_single_images_are_no_pairs() -> None:
    with pytest.raises(InputError, match=r'^DAINet trains on pairs'):
        tiny_dai_net('none').loss(pair_of()['light'], samples_of(*FACES))


def test_a_term_of_ones_own_sees_the_pair_and_asks_for_what_it_needs() -> None:
    """Without a teacher, one that needs it is left out; the others are not."""

    class Contrast(nn.Module):
        def forward(self, pair: DarkPair) -> Tensor:
            return (pair.light.shallow - pair.dark.shallow).square().mean()

    class Taught(Contrast):
        needs = ('teacher',)

    with patch.dict(MODELS.module_dict, {'Contrast': Contrast, 'Taught': Taught}):
        cfg = tiny(Config.fromfile(CONFIGS / 'dsfd_dark_wider.py').model)
        cfg.reflectance_decoder.in_channels = 8
        losses = dict(contrast=dict(type='Contrast'), taught=dict(type='Taught'), nothing=None)
        for teacher, terms in ((dict(type='MaxRGBRetinex'), ('contrast', 'taught')), (None, ('contrast',))):
            model = MODELS.build({**cfg, 'enhancer': teacher, 'losses': losses})
            with torch.no_grad():
                found = model.loss(pair_of(), samples_of(*FACES))
            assert found.keys() == DETECTION | {f'loss_{term}' for term in terms}
            light, dark = (model.detector.backbone.stem(image) for image in pair_of().values())
            wanted = float((light - dark).square().mean().detach())
            assert {round(float(found[f'loss_{term}']) / wanted, 4) for term in terms} == {1}
