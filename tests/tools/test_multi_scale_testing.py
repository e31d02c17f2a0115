"""``tools/test.py --tta`` as people call it, against the same views put through the detector by hand."""

from __future__ import annotations

import pickle
import runpy
import sys
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.runner.checkpoint import load_state_dict

from mmdark.apis import enable_tta, load_config
from mmdark.compat import __main__ as launcher
from mmdark.datasets.transforms.multi_scale_views import published_views
from mmdark.errors import InputError
from mmdark.models.box_voting import box_voting, keeps_size
from tests.tiny_wider import LITE, QUICKSTART, ROOT, write_wider

LITE_WIDER = ROOT / 'configs' / 'dsfd_dark_lite_wider.py'
"""Tests by day and in the dark."""

MULTI_SCALE = Config.fromfile(ROOT / 'configs' / '_base_' / 'multi_scale_test.py').to_dict()
(DARK_SET,) = Config.fromfile(QUICKSTART).to_dict()['test_dataloader']['dataset']['datasets']
LOAD_DARK = DARK_SET['pipeline'][:2]
MORE = {**LITE, 'model.detector.test_cfg.score_thr': 0.0, 'model.detector.test_cfg.max_per_img': 40}


def write_config(folder: Path, base: Path, **settings: object) -> str:
    """A config that adds ``settings`` to ``base``; by default multi-scale testing of dark images."""
    pipeline = [*LOAD_DARK, *MULTI_SCALE['tta_pipeline'][1:]]
    settings = {'tta_model': MULTI_SCALE['tta_model'], 'tta_pipeline': pipeline, **settings}
    if settings['tta_model'] and Config.fromfile(base).get('tta_model'):
        settings['tta_model'] = {**settings['tta_model'], '_delete_': True}
    path = folder / f'{uuid4().hex}.py'
    path.write_text(f'_base_ = [{str(base)!r}]\n' + ''.join(f'{key} = {value!r}\n' for key, value in settings.items()))
    return str(path)


def options(root: Path, **more: object) -> list[str]:
    settings = {**MORE, 'data_root': f'{root}/', 'experiment_name': uuid4().hex, **more}
    return ['--cfg-options', *(f'{key}={value}'.replace(' ', '') for key, value in settings.items())]


def inside(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run ``tools/test.py`` in this process."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', ['test', *map(str, arguments)])
    runpy.run_path(str(ROOT / 'tools' / 'test.py'), run_name='__main__')


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wider(tmp_path_factory.mktemp('wider'), train=1, val=2)


@pytest.fixture(scope='module')
def model() -> torch.nn.Module:
    """The lite detector with large random weights, so that views differ."""
    built = MODELS.build(load_config(str(QUICKSTART), MORE).model)
    generator = torch.Generator().manual_seed(0)
    for parameter in built.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter, generator=generator)
    return built.eval()


@pytest.fixture(scope='module')
def checkpoint(model: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp('weights') / 'lite.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, path)
    return str(path)


def by_hand(model: torch.nn.Module, item: dict) -> np.ndarray:
    """What the published script would do with an image of a single-scale data set; rows x1 y1 x2 y2 score."""
    image, sample = item['inputs'].permute(1, 2, 0).numpy(), item['data_samples']
    height, width = sample.ori_shape
    boxes, scores = [], []
    for view in published_views(height, width):
        seen = cv2.resize(cv2.flip(image, 1) if view.flip else image, None, fx=view.scale, fy=view.scale)
        seen_sample = sample.new()
        scale_factor = (seen.shape[1] / width, seen.shape[0] / height)
        seen_sample.set_metainfo(dict(img_shape=seen.shape[:2], scale_factor=scale_factor))
        with torch.no_grad():
            (found,) = model.test_step(
                dict(inputs=[torch.from_numpy(seen).permute(2, 0, 1)], data_samples=[seen_sample])
            )
        x1, y1, x2, y2 = found.pred_instances.bboxes.unbind(1)
        found_boxes = torch.stack([width - x2, y1, width - x1, y2] if view.flip else [x1, y1, x2, y2], 1)
        kept = keeps_size(found_boxes, view.keep)
        boxes.append(found_boxes[kept])
        scores.append(found.pred_instances.scores[kept])
    voted_boxes, voted_scores = box_voting(torch.cat(boxes), torch.cat(scores))
    return torch.cat([voted_boxes, voted_scores[:, None]], 1).numpy()


def rows(sample: dict) -> np.ndarray:
    found = sample['pred_instances']
    return torch.cat([found['bboxes'], found['scores'][:, None]], 1).numpy()


def test_by_day_and_in_the_dark_it_does_what_the_script_does(
    root: Path,
    model: torch.nn.Module,
    checkpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Each data set keeps its own light; mmdet's tool, which knows one data set, finds the same in the dark."""
    both, out, drawn = write_config(tmp_path, LITE_WIDER), tmp_path / 'found.pkl', tmp_path / 'drawn'
    written = Path(both).read_text()
    given = ['--tta', '--out', out, '--show-dir', drawn, '--show-score-thr', '0.9', '--work-dir', tmp_path]
    inside(monkeypatch, both, checkpoint, *given, *options(root))
    said = ''.join(capfd.readouterr())
    assert 'day/wider/AP' in said and 'dark/wider/AP' in said
    assert Path(both).read_text() == written, 'the Runner writes its config into the work directory'
    assert Config.fromfile(both.replace('.py', '_tta.py')).model.type == 'MultiScaleTTA'
    found = pickle.loads(out.read_bytes())
    dataset = DATASETS.build(load_config(both, {'data_root': f'{root}/', **MORE}).test_dataloader.dataset)
    assert len(found) == len(dataset) == 4
    for index, sample in enumerate(found):
        item = dataset[index]
        assert (item['inputs'].float().mean() < 40) == (index >= 2), 'the last two are dark'
        expected = by_hand(model, item)
        assert 10 < len(expected) < 750
        np.testing.assert_allclose(rows(sample), expected, rtol=0, atol=1e-3)
    assert {path.name for path in drawn.iterdir()} == {'val_0.png', 'val_1.png', 'val_0-2.png', 'val_1-2.png'}
    by_day, by_night = (cv2.imread(str(drawn / name)) for name in ('val_0.png', 'val_0-2.png'))
    assert by_day.shape == by_night.shape and by_day.shape[1] > 4 * 96
    panel = slice(by_day.shape[1] // 4 + 8, by_day.shape[1] // 2 - 8)  # the second: what the detector was given
    assert by_night[40:, panel].mean() < 0.5 * by_day[40:, panel].mean()

    single = dict(dataset=dict(_delete_=True, **DARK_SET))
    dark, theirs = write_config(tmp_path, QUICKSTART, test_dataloader=single), tmp_path / 'theirs.pkl'
    monkeypatch.setattr(sys, 'path', list(sys.path))
    given = ['--tta', '--out', str(theirs), '--work-dir', str(tmp_path)]
    more = {'test_dataloader.dataset.data_root': f'{root}/'}
    launcher.main(['mmdet:test', dark, checkpoint, *given, *options(root, **more)])
    for mine, their in zip(found[2:], pickle.loads(theirs.read_bytes()), strict=True):
        assert (rows(mine) == rows(their)).all()


def test_data_sets_keep_their_pictures_and_take_the_views(tmp_path: Path) -> None:
    cfg = load_config(write_config(tmp_path, LITE_WIDER))
    inner = cfg.test_dataloader.dataset.datasets
    cfg.test_dataloader.dataset.datasets = [dict(type='RepeatDataset', times=1, dataset=inner[0]), inner[1]]
    cfg = enable_tta(cfg)
    repeated, dark = cfg.test_dataloader.dataset.datasets
    views = ['LoadAnnotations', 'MultiScaleViews']
    assert [step.type for step in repeated.dataset.pipeline] == ['LoadImageFromFile', *views]
    assert [step.type for step in dark.pipeline] == ['LoadImageFromFile', 'DarkISP', *views]
    assert (cfg.model.type, cfg.model.module.type) == ('MultiScaleTTA', 'DAINet')
    with pytest.raises(InputError, match='is wrapped already'):
        enable_tta(cfg)


def test_what_loads_in_its_own_way_takes_the_whole_pipeline(tmp_path: Path) -> None:
    cfg = load_config(write_config(tmp_path, QUICKSTART))
    cfg.test_dataloader.dataset.datasets[0].pipeline = [dict(type='LoadEmptyAnnotations')]
    cfg = enable_tta(cfg)
    assert cfg.test_dataloader.dataset.datasets[0].pipeline == cfg.tta_pipeline


def test_what_tta_cannot_do_is_said_in_one_line(
    root: Path, model: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for missing in ('tta_model', 'tta_pipeline'):
        config = write_config(tmp_path, QUICKSTART, **{missing: None})
        with pytest.raises(SystemExit) as caught:
            inside(monkeypatch, config, 'any.pth', '--tta', *options(root))
        assert f'{config} has no {missing}; inherit configs/_base_/multi_scale_test.py' in caught.value.code
    with pytest.raises(InputError, match=r'tested one by one; add --cfg-options test_dataloader\.batch_size=1$'):
        enable_tta(load_config(write_config(tmp_path, QUICKSTART), {'test_dataloader.batch_size': 2}))

    state = model.state_dict()
    del state[next(iter(state))]
    torch.save({'state_dict': state}, tmp_path / 'part.pth')
    config = write_config(tmp_path, QUICKSTART)
    with pytest.raises(SystemExit) as caught:
        inside(monkeypatch, config, tmp_path / 'part.pth', '--tta', '--work-dir', tmp_path, *options(root))
    assert 'part.pth does not fit DAINet as configured: it lacks 1 keys' in caught.value.code


def test_mmengine_loads_into_the_wrapped_detector(model: torch.nn.Module) -> None:
    """By the names that the detector has alone, strictly."""
    wrapped = MODELS.build({**MULTI_SCALE['tta_model'], 'module': load_config(str(QUICKSTART), MORE).model})
    load_state_dict(wrapped, model.state_dict(), strict=True)
    for name, value in model.state_dict().items():
        assert torch.equal(wrapped.module.state_dict()[name], value)


def test_mmdets_own_way_works_and_is_drawn_upright(
    root: Path, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``DetTTAModel`` with a flipped first view: the same picture of the same image, but for what was found."""
    steps = [[dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)], [dict(type='PackDetInputs')]]
    nms = dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
    annotate = dict(type='LoadAnnotations', with_bbox=True)
    resize = dict(type='Resize', scale_factor=1.0, keep_ratio=True)
    pipeline = [*LOAD_DARK, annotate, resize, dict(type='TestTimeAug', transforms=steps)]
    mmdets = write_config(tmp_path, QUICKSTART, tta_model=dict(type='DetTTAModel', tta_cfg=nms), tta_pipeline=pipeline)
    pictures = []
    for config, name in ((mmdets, 'mmdet'), (write_config(tmp_path, QUICKSTART), 'ours')):
        given = ['--tta', '--show-dir', tmp_path / name, '--show-score-thr', '1.1', '--work-dir', tmp_path]
        inside(monkeypatch, config, checkpoint, *given, *options(root))
        pictures.append(cv2.imread(str(tmp_path / name / 'val_1.png')))
    assert pictures[0].shape == pictures[1].shape and (pictures[0] == pictures[1]).all()
