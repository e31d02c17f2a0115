"""Losses, gradients and detections of four detectors in DAI-Net: CUDA beside the CPU."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from mmengine.config import Config
from torch import Tensor, nn

from tests.adaptation.hosts import FACES, HOSTS, build, raw, small
from tests.models.tiny_models import CONFIGS, samples_of, tiny_dai_net

pytestmark = pytest.mark.gpu

FLOAT32, GRADIENT = 1e-4, 1e-3
"""Relative: of a loss, and of a gradient to the largest number of its parameter."""
BFLOAT16 = 0.05
"""Relative, of a loss; bfloat16 has 8 bits, and a network some dozen layers."""
PIXELS, SCORE = 0.5, 1e-3
SIZE = (128, 160)


def model_of(name: str) -> nn.Module:
    if name == 'main':
        return tiny_dai_net()
    if name == 'lite':
        model = Config.fromfile(CONFIGS / 'dsfd_dark_lite_wider.py').model
        torch.manual_seed(0)
        return build(model)
    return build(small(HOSTS[name]))


@pytest.fixture(params=['main', 'lite', 'RetinaNet', 'FCOS'])
def both(request: pytest.FixtureRequest, device: str) -> tuple[nn.Module, nn.Module]:
    on_cpu = model_of(request.param).train()
    return on_cpu, deepcopy(on_cpu).to(device)


def step(model: nn.Module, half: bool = False) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Losses and gradients of a step of the same images, darkened on the CPU."""
    light, samples = raw(SIZE)
    pairs = dict(light=light, dark=[image // 8 for image in light])
    device = next(model.parameters()).device.type
    with torch.autocast(device, torch.bfloat16, enabled=half):
        data = model.data_preprocessor(dict(inputs=pairs, data_samples=deepcopy(samples)), True)
        total, log = model.parse_losses(model.loss(data['inputs'], data['data_samples']))
    total.backward()
    gradients = {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return {name: float(value.detach()) for name, value in log.items()}, gradients


def test_losses_and_gradients_in_float32(both: tuple[nn.Module, nn.Module]) -> None:
    (wanted, gradients), (losses, others) = map(step, both)
    assert losses == pytest.approx(wanted, rel=FLOAT32, abs=1e-6)
    assert gradients.keys() == others.keys() and len(gradients) > 20
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())
    for name, gradient in gradients.items():
        bound = GRADIENT * float(gradient.abs().max()) + 1e-6 * largest
        assert float((others[name] - gradient).abs().max()) <= bound, name


def test_losses_in_bfloat16(both: tuple[nn.Module, nn.Module]) -> None:
    wanted, (losses, gradients) = step(both[0])[0], step(both[1], half=True)
    assert losses['loss'] == pytest.approx(wanted['loss'], rel=BFLOAT16)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients.values())


@torch.no_grad()
def test_detections(both: tuple[nn.Module, nn.Module]) -> None:
    """All of the best hundred but a few: where two boxes overlap just so much, rounding decides which one goes."""
    found = []
    for model in both:
        model.eval()
        inner = model.detector.bbox_head
        for head in (inner, getattr(inner, 'second_shot', inner)):
            if head.test_cfg if hasattr(head, 'test_cfg') else None:
                head.test_cfg.update(score_thr=0.0, max_per_img=100)
        light, _ = raw(SIZE)
        samples = samples_of(*FACES, size=SIZE)
        (first, _) = model.test_step(dict(inputs=light, data_samples=samples))
        found.append(torch.cat([first.pred_instances.bboxes, first.pred_instances.scores[:, None]], 1).float().cpu())
    wanted, ours = found
    assert len(wanted) == len(ours) > 10
    distances = (wanted[:, None] - ours[None]).abs()
    same = (distances[..., :4].amax(2) < PIXELS) & (distances[..., 4] < SCORE)
    assert float(same.any(1).float().mean()) >= 0.95
