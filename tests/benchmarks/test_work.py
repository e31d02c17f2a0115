"""What each subject does: real inputs, as many candidates as asked for, a known cost, weights that stand still."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.optim import OptimWrapper
from torch import nn

from benchmarks import data, head, model, network, startup
from benchmarks.inputs import PHOTO, faces, write_wider
from benchmarks.machine import Settings
from mmdark.apis import config_path
from tests.models.tiny_models import pair_of, samples_of
from tests.tiny_wider import LITE, QUICKSTART

MAIN = Settings(config=str(config_path('dsfd_dark_wider.py')), size=128, faces=5)
TINY = replace(MAIN, config=str(QUICKSTART), cfg_options=LITE, size=64, batch_size=2)


@pytest.fixture(scope='module')
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wider(tmp_path_factory.mktemp('noise') / 'wider', images=3, count=4, seed=0)


def test_faces_lie_in_the_image() -> None:
    boxes = faces(500, (300, 200), np.random.default_rng(0))
    sides = boxes[:, 2:] - boxes[:, :2]
    assert boxes.shape == (500, 4) and (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= [300, 200]).all()
    assert sides.min() > 6 and sides.max() <= 60 and np.median(sides) < 30


def test_the_pipeline_reads_the_noise(noise: Path) -> None:
    settings = replace(TINY, data_root=str(noise))
    dataset = DATASETS.build(model.read_config(settings).train_dataloader.dataset)
    info = dataset.get_data_info(1)
    assert len(dataset) == 3 and len(info['instances']) == 4
    image = cv2.imread(info['img_path'])
    assert image.shape == (PHOTO[1], PHOTO[0], 3) and 30 < image.std() < 100
    assert 100_000 < Path(info['img_path']).stat().st_size < 500_000  # as photographs of that size
    name, count, *numbers = data._line(info).split()
    boxes = [instance['bbox'] for instance in info['instances']]
    assert Path(name) == Path(info['img_path']).resolve() and count == '4'
    assert [float(number) for number in numbers] == [
        value for x1, y1, x2, y2 in boxes for value in (x1, y1, x2 - x1, y2 - y1, 1)
    ]
    work = data.ours(settings)
    assert work.images == 3
    work.call()


def test_as_many_candidates_as_asked_for() -> None:
    scores, deltas = head._maps(MAIN, 2, candidates=70)
    passing = [sum(int((level[i].softmax(0)[0] > 0.05).sum()) for level in scores) for i in range(2)]
    assert passing == [70, 70]
    assert [level.shape[-1] for level in deltas] == [32, 16, 8, 4, 2, 1]
    flat = head._published_order(scores, 'cpu')
    start = 32 * 32
    for row, column in ((0, 0), (3, 9), (15, 15)):
        assert flat[1, start + 16 * row + column].tolist() == scores[1][1, :, row, column].flip(0).tolist()


def test_losses_and_detections_of_one_shot() -> None:
    work = head.our_loss(replace(TINY, batch_size=3))
    first, second = float(work.call()), float(work.call())
    assert work.images == 3 and first == second > 0
    found = head.our_detections(TINY, candidates=40).call()
    assert 0 < found <= 80


def test_a_network_lets_the_same_number_pass() -> None:
    convs = [nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)]
    maps = [torch.rand(2, 3, 8, 8), torch.rand(2, 3, 4, 4)]
    model.limit_candidates(convs, 1, lambda: [conv(each) for conv, each in zip(convs, maps, strict=True)], 9)
    scores = [conv(each)[0].softmax(0)[1] for conv, each in zip(convs, maps, strict=True)]
    assert sum(int((score >= 0.05 - 1e-6).sum()) for score in scores) == 9


@pytest.mark.parametrize('amp', [False, True])
def test_a_step_is_whole_but_moves_no_weight(amp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    wrappers: list[OptimWrapper] = []
    build = network.build_optim_wrapper
    monkeypatch.setattr(network, 'build_optim_wrapper', lambda *given: wrappers.append(build(*given)) or wrappers[0])
    work = network.our_step(replace(TINY, amp=amp, channels_last=True))
    optimizer = wrappers[0].optimizer
    weights = [weight for group in optimizer.param_groups for weight in group['params']]
    before = [weight.clone() for weight in weights]
    assert float(work.call()) == float(work.call()) > 0 and work.images == 2 and work.flops > 1e6
    assert all(torch.equal(weight, old) for weight, old in zip(weights, before, strict=True))
    moments = [optimizer.state[weight]['exp_avg'] for weight in weights]
    assert all(torch.isfinite(moment).all() for moment in moments)
    assert sum(bool(moment.any()) for moment in moments) > 0.5 * len(weights)


def test_a_test_forward_detects() -> None:
    work = network.our_forward(replace(TINY, size=96))
    assert 0 < work.call() <= 2 * network.CANDIDATES and work.flops > 1e6


def test_the_cost_of_a_step_and_of_a_forward() -> None:
    """Beside the published code's 1,839 and 380 GFLOP of an image of 640 pixels, 25 times the area of 128."""
    built = model.build_model(model.read_config(MAIN), MAIN).train()
    assert model.is_published(built)
    samples = samples_of([[10.0, 10, 60, 60]], size=(128, 128))
    pair = pair_of(1, (128, 128))
    step = model.count_flops(lambda: built.parse_losses(built.loss(pair, samples))[0].backward(), MAIN)
    assert step == pytest.approx(1839e9 / 25, rel=0.01)
    with torch.no_grad():
        forward = model.count_flops(lambda: built.eval().predict(pair['dark'], samples), MAIN)
    assert forward == pytest.approx(380e9 / 25, rel=0.03)
    assert model.count_flops(lambda: None, replace(MAIN, compile=True)) is None


def test_another_network_is_not_the_published_one() -> None:
    assert not model.is_published(model.build_model(model.read_config(TINY), TINY))


def test_start_up_ends_at_the_first_convolution(noise: Path) -> None:
    work = startup.ours(replace(TINY, data_root=str(noise)))
    work.call()
