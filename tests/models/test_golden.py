"""DAI-Net and DSFD against numbers printed by the authors' code (ZPDu/DAI-Net at f9f78ff)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

from .published_names import load_published, load_published_teacher

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT.parent / 'shared' / 'golden'
pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f'golden numbers are not at {GOLDEN}')


@pytest.fixture(scope='module')
def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location('golden_recipe', GOLDEN / 'recipe.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _case(stem: str) -> tuple[dict, dict[str, np.ndarray]]:
    return json.loads((GOLDEN / f'{stem}.json').read_text()), dict(np.load(GOLDEN / f'{stem}.npz'))


def _build(config: str) -> torch.nn.Module:
    return MODELS.build(Config.fromfile(ROOT / 'configs' / '_base_' / 'models' / config).model)


def _samples(case: dict) -> list[DetDataSample]:
    height, width = case['height'], case['width']
    samples = []
    for rows in case['targets']:
        rows = torch.tensor(rows)
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(height, width), pad_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0)
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=rows[:, :4] * torch.tensor([width, height, width, height]),
            labels=torch.zeros(len(rows), dtype=torch.long),
        )
        samples.append(sample)
    return samples


def _close(ours: torch.Tensor | np.ndarray, golden: np.ndarray, tolerance: float = 1e-4) -> None:
    """Agreement relative to the largest golden value."""
    ours = np.asarray(ours.detach() if isinstance(ours, torch.Tensor) else ours)
    assert ours.shape == golden.shape
    assert np.abs(ours - golden).max() <= tolerance * np.abs(golden).max()


def _flat(maps: list[torch.Tensor], width: int) -> torch.Tensor:
    return torch.cat([map_.permute(0, 2, 3, 1).reshape(len(map_), -1, width) for map_ in maps], dim=1)


def _check_shots(model: torch.nn.Module, images: torch.Tensor, arrays: dict[str, np.ndarray]) -> None:
    shots = model.extract_feat(images)
    height, width = images.shape[-2:]
    for number, head, maps in ((1, model.bbox_head.first_shot, shots[0]), (2, model.bbox_head.second_shot, shots[1])):
        scores, deltas = head(maps)
        _close(_flat(deltas, 4), arrays[f'loc_pal{number}'])
        _close(_flat(scores, 2).flip(-1), arrays[f'conf_pal{number}'])
        priors = torch.cat(head.prior_generator.grid_priors([score.shape[-2:] for score in scores], device='cpu'))
        corner, opposite = priors[:, :2], priors[:, 2:]
        centre_size = torch.cat([(corner + opposite) / 2, opposite - corner], 1)
        _close(centre_size / torch.tensor([width, height, width, height]), arrays[f'priors_pal{number}'])


@pytest.fixture(scope='module')
def dai_net(recipe: ModuleType) -> tuple:
    case, arrays = _case('dainet_320x256')
    model = _build('dai_net_vgg16.py')
    ours = load_published(model, recipe.state_dict(case['keys']))
    load_published_teacher(model.enhancer, recipe.state_dict(case['retinex_keys']))
    light = recipe.light_image(case['seed'], case['batch'], case['height'], case['width'])
    return case, arrays, model.train(), dict(light=light, dark=recipe.dark_image(light, case['seed'] + 1)), ours


def test_networks(dai_net: tuple) -> None:
    _, arrays, model, images, _ = dai_net
    with torch.no_grad():
        _check_shots(model, images['dark'], arrays)
        for name in ('dark', 'light'):
            _close(model.reflectance(images[name])[:, :, ::7, ::7], arrays[f'R_{name}'])
            teacher = model.enhancer(images[name])
            _close(teacher.illumination[:, :, ::7, ::7], arrays[f'I_{name}'])
            _close(teacher.reflectance[:, :, ::7, ::7], arrays[f'Rgt_{name}'])


def test_losses_and_gradients(dai_net: tuple) -> None:
    case, _, model, images, ours = dai_net
    losses = {
        name: sum(value) if isinstance(value, list) else value
        for name, value in model.loss(images, _samples(case)).items()
    }
    grouped = dict(
        loc_pal1=losses['pal1_loss_bbox'],
        conf_pal1=losses['pal1_loss_cls'],
        loc_pal2=losses['pal2_loss_bbox'],
        conf_pal2=losses['pal2_loss_cls'],
        decomposition=losses['loss_decomposition'],
        mutual=losses['loss_mutual'],
        enhance=sum(losses[f'loss_{name}'] for name in ('consistency', 'reconstruction', 'smoothness', 'coherence')),
        total=sum(losses.values()),
    )
    for name, golden in case['losses'].items():
        assert grouped[name].item() == pytest.approx(golden, rel=1e-4), name

    model.zero_grad()
    grouped['total'].backward()
    parameters = dict(model.named_parameters())
    for (old, golden), new in zip(case['grad_norms'].items(), ours, strict=True):
        gradient = parameters[new].grad
        norm = 0.0 if gradient is None else float(gradient.norm())
        assert norm == pytest.approx(golden or 0.0, rel=1e-3, abs=1e-6), old


def test_detections(dai_net: tuple) -> None:
    case, arrays, model, images, _ = dai_net
    height, width = case['height'], case['width']
    with torch.no_grad():
        found = model.eval().predict(images['dark'], _samples(case), rescale=False)[0].pred_instances
    golden = arrays['detections_image0']
    golden = golden[golden[:, 0] >= 0.05]
    boxes = found.bboxes / torch.tensor([width, height, width, height])
    ours = torch.cat([found.scores[:, None], boxes], 1)
    distances = torch.cdist(ours, torch.from_numpy(golden), p=float('inf'))  # equal scores may change places
    assert distances.shape == (len(golden), len(golden))
    assert distances.amin(0).max() < 1e-4
    assert distances.argmin(0).unique().numel() == len(golden)


def test_day_detector(recipe: ModuleType) -> None:
    case, arrays = _case('dsfd_vgg_192x256')
    model = _build('dsfd_vgg16.py').eval()
    load_published(model, recipe.state_dict(case['keys'], 'vgg'))
    with torch.no_grad():
        images = recipe.light_image(case['seed'], 1, case['height'], case['width'])
        _check_shots(model, images, arrays)
        losses = model.loss(images, _samples(case))
    for shot in (1, 2):
        for ours, golden in (('bbox', 'loc'), ('cls', 'conf')):
            value = float(sum(losses[f'pal{shot}_loss_{ours}']))
            assert value == pytest.approx(case['losses'][f'{golden}_pal{shot}'], rel=1e-4)
