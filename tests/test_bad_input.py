"""What people really feed a detector, through the Runner and the tools: it trains, or it stops with one clear line."""

import gc
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmdark.apis import load_config
from tests.tiny_wider import (
    FACE,
    LITE,
    QUICKSTART,
    ROOT,
    lite_config,
    lite_runner,
    photo,
    write_annotation,
    write_wider,
)

MODES = {'grey.jpg': 'L', 'rgba.png': 'RGBA', 'cmyk.jpg': 'CMYK', 'palette.png': 'P'}
LITE_CONFIG, MAIN_CONFIG = (str(ROOT / 'configs' / f'dsfd_dark_{name}wider.py') for name in ('lite_', ''))
ONE = {'model.detector.neck.norm_cfg': None}
"""Batch norm cannot train on one image of 64 pixels, whose last map is a single cell."""


class Losses(Hook):
    """All losses of all iterations, and the images they were of."""

    def __init__(self) -> None:
        self.values: list[dict[str, float]] = []
        self.names: list[str] = []
        self.faces: list[int] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        self.values.append({name: value.item() for name, value in outputs.items()})
        self.names += [Path(sample.img_path).name for sample in data_batch['data_samples']]
        self.faces += [len(sample.gt_instances) for sample in data_batch['data_samples']]


def train(root: Path, work_dir: Path, iterations: int = 2, options: dict[str, Any] | None = None) -> Losses:
    """Train the lite detector; every loss of it must be finite, and every weight."""
    losses = Losses()
    runner = lite_runner(root, work_dir, iterations, options)
    runner.register_hook(losses)
    runner.train()
    assert runner.iter == iterations == len(losses.values)
    assert np.isfinite([value for step in losses.values for value in step.values()]).all()
    assert all(parameter.isfinite().all() for parameter in runner.model.parameters())
    return losses


def tool(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str, options: dict[str, Any] | None = None) -> str:
    """The line with which ``tools/NAME.py`` ends on the lite detector."""
    settings = {**LITE, 'experiment_name': uuid4().hex, 'log_level': 'ERROR', **(options or {})}
    given = [f'{key}={str(value).replace(" ", "")}' for key, value in settings.items()]
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', [name, str(QUICKSTART), *arguments, '--cfg-options', *given])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / 'tools' / f'{name}.py'), run_name='__main__')
    line = caught.value.code
    assert isinstance(line, str) and line.startswith('error: ') and '\n' not in line  # printed, with status 1
    return line.removeprefix('error: ')


def test_images_of_every_kind_train_and_test(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=1, val=1)
    for part in ('train', 'val'):
        folder = root / f'WIDER_{part}' / 'images'
        for number, (name, mode) in enumerate(MODES.items()):
            photo(number).convert(mode).save(folder / name)
        deep = np.asarray(photo(9))[..., ::-1].astype(np.uint16) * 257
        cv2.imwrite(str(folder / 'deep.png'), deep)
        cv2.imwrite(str(folder / 'deep_grey.png'), deep[..., 0])
        write_annotation(root, part, [(name, [FACE]) for name in (*MODES, 'deep.png', 'deep_grey.png')])
    losses = train(root, tmp_path, 3)
    assert sorted(losses.names) == sorted([*MODES, 'deep.png', 'deep_grey.png'])
    assert all(step['pal2_loss_bbox'] > 0 for step in losses.values)
    metrics = lite_runner(root, tmp_path, options={'load_from': str(tmp_path / 'iter_3.pth')}).test()
    assert 0 <= metrics['dark/wider/AP'] <= 1


def test_boxes_of_every_kind(tmp_path: Path) -> None:
    """Zero, negative, not a number, infinite, outside, far larger than the image: one good face is left to train on."""
    root = write_wider(tmp_path / 'wider', train=3, val=1)
    bad = [(5, 5, 0, 9), (5, 5, 9, 0), (30, 30, -9, -9), ('nan', 5, 9, 9), (5, 5, 9, 'nan'), (5, 5, 'inf', 9)]
    bad += [(500, 500, 20, 20), (-90, -90, 30, 30), (96, 0, 10, 10)]
    rows = {'train_0.jpg': [*bad, FACE], 'train_1.jpg': bad, 'train_2.jpg': [(-1e6, -1e6, 2e6, 2e6), FACE]}
    write_annotation(root, 'train', [(f'0--Noise/{name}', faces) for name, faces in rows.items()])
    losses = train(root, tmp_path, 4, ONE)
    assert 'train_1.jpg' not in losses.names and {'train_0.jpg', 'train_2.jpg'} == set(losses.names)
    assert all(1 <= faces <= 2 for faces in losses.faces)
    write_annotation(root, 'val', [('0--Noise/val_0.jpg', [*bad, FACE])])
    assert np.isfinite(lite_runner(root, tmp_path).test()['dark/wider/AP'])


def test_an_image_of_one_pixel(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=1, val=1)
    for part in ('train', 'val'):
        photo(0).crop((0, 0, 1, 1)).save(root / f'WIDER_{part}' / 'images' / 'one.png')
        write_annotation(root, part, [('one.png', [(0, 0, 1, 1)])] * 2)
    assert train(root, tmp_path, 1).names == ['one.png'] * 2
    assert np.isfinite(lite_runner(root, tmp_path).test()['dark/wider/AP'])


@pytest.mark.parametrize('size', [(1, 200), (200, 1), (7, 9), (33, 15), (31, 31)])
def test_small_and_narrow_images_are_tested(tmp_path: Path, size: tuple[int, int]) -> None:
    root = write_wider(tmp_path / 'wider', train=1, val=1)
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    cv2.imwrite(str(root / 'WIDER_val' / 'images' / 'small.png'), pixels)
    write_annotation(root, 'val', [('small.png', [(0, 0, 1, 1)])])
    assert np.isfinite(lite_runner(root, tmp_path).test()['dark/wider/AP'])


def test_an_image_without_faces_is_not_trained_on_but_tested(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=3, val=2)
    for part in ('train', 'val'):
        write_annotation(root, part, [(f'0--Noise/{part}_0.jpg', []), (f'0--Noise/{part}_1.jpg', [FACE])])
    losses = train(root, tmp_path, 1, {'train_dataloader.batch_size': 1, **ONE})
    assert losses.names == ['train_1.jpg']
    runner = lite_runner(root, tmp_path)
    assert len(runner.test_dataloader.dataset) == 2 and np.isfinite(runner.test()['dark/wider/AP'])


def test_a_batch_in_which_no_image_has_a_face(tmp_path: Path) -> None:
    """Only the scores of the background and the dark branches have something to learn."""
    root = write_wider(tmp_path / 'wider', train=2, val=1)
    write_annotation(root, 'train', [(f'0--Noise/train_{number}.jpg', []) for number in range(2)])
    plain = [
        'LoadPhoto',
        {'type': 'LoadAnnotations', 'with_bbox': True},
        {'type': 'RandomInterpResize', 'input_size': 64},
    ]
    pipeline = [{'type': step} if isinstance(step, str) else step for step in (*plain, 'DarkISP', 'PackDarkPair')]
    options = {'train_dataloader.dataset.pipeline': pipeline, 'train_dataloader.dataset.filter_cfg': None}
    losses = train(root, tmp_path, 2, options)
    assert losses.faces == [0] * 4
    for step in losses.values:
        assert step['pal1_loss_bbox'] == step['pal2_loss_bbox'] == 0
        assert step['loss_decomposition'] > 0


@pytest.mark.parametrize('kind', ['missing', 'empty', 'cut off'])
def test_a_damaged_image_ends_the_tool_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Found before training begins, or by the worker that loads the images."""
    monkeypatch.setattr('torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL', 0.1)  # how long torch waits for its worker
    root = write_wider(tmp_path / 'wider', train=2, val=1)
    path = root / 'WIDER_train' / 'images' / '0--Noise' / 'train_1.jpg'
    content = path.read_bytes()
    path.unlink()
    if kind != 'missing':
        path.write_bytes(content[: len(content) // 2] if kind == 'cut off' else b'')
    options = {'data_root': f'{root}/', 'train_dataloader.num_workers': 1}
    line = tool(monkeypatch, 'train', '--work-dir', str(tmp_path), options=options)
    assert str(path) in line or (kind == 'missing' and '[...]' in line)  # two paths and what to do about it
    assert {'missing': 'bbx_gt.txt:4: ', 'empty': '(0 bytes)', 'cut off': 'is cut off'}[kind] in line
    gc.collect()  # while the patience is short


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'data_root': 'no/such/wider/'}, 'data_root no/such/wider/ does not exist: '),
        ({'train_dataloder.batch_size': 2}, "no 'train_dataloder' in the config; did you mean 'train_dataloader'?"),
        ({'model.detector.backbone.widen_fctor': 0.5}, "no 'widen_fctor' in the config; did you mean 'widen_factor'?"),
        ({'model.detector.backbone.typ': 'VGG'}, 'unexpected keyword argument'),
        ({'model.detector.backbone.type': 'DarkVGGG'}, 'DarkVGGG is not in the mmdet::model registry'),
        ({'train_dataloader.dataset.pipeline.0.type': 'LoadFoto'}, 'LoadFoto is not in the mmdet::transform registry'),
        ({'train_dataloader.dataset.ann_file': 'none.txt'}, 'none.txt'),
    ],
)
def test_a_wrong_setting_ends_the_tool_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], said: str
) -> None:
    root = write_wider(tmp_path / 'wider', train=1, val=1)
    line = tool(monkeypatch, 'train', '--work-dir', str(tmp_path), options={'data_root': f'{root}/', **options})
    assert said in line


class Payload:
    """Runs a command where it is unpickled without care."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


def test_checkpoints_that_do_not_fit_or_mean_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, mark = write_wider(tmp_path / 'wider', train=1, val=1), tmp_path / 'ran'
    harm = Payload(f'touch {mark}')
    torch.save({'state_dict': {}, 'meta': harm}, tmp_path / 'hostile.pth')
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / 'other.pth')
    said = {
        'hostile.pth': 'is refused: it asks for posix.system',
        'other.pth': 'does not fit DAINet as configured: it lacks',
    }
    for name, words in said.items():
        arguments = (str(tmp_path / name), '--work-dir', str(tmp_path))
        line = tool(monkeypatch, 'test', *arguments, options={'data_root': f'{root}/'})
        assert str(tmp_path / name) in line and words in line
    resume = ('--resume', str(tmp_path / 'hostile.pth'), '--work-dir', str(tmp_path))
    assert 'is refused' in tool(monkeypatch, 'train', *resume, options={'data_root': f'{root}/'})
    assert not mark.exists()
    with pytest.raises(RuntimeError, match='ran'):  # the payload is a live one
        torch.load(tmp_path / 'hostile.pth', weights_only=False)
        raise RuntimeError('ran' if mark.exists() else 'dead')


def test_a_loss_that_is_no_number_ends_the_tool_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_wider(tmp_path / 'wider', train=2, val=1)
    options = {'data_root': f'{root}/', 'model.losses.smoothness.loss_weight': 1e39}
    line = tool(monkeypatch, 'train', '--work-dir', str(tmp_path), options=options)
    assert line.startswith('iteration 1: loss_smoothness = inf, on ') and len(line) <= 300
    assert ('train_0.jpg' in line and 'train_1.jpg' in line) or '[...]' in line
    assert list(tmp_path.glob('*.pth')) == []


@pytest.mark.parametrize('iterations', [1, 2, 9, 10, 11])
def test_the_lite_config_trains_on_tiny_budgets(iterations: int, tmp_path: Path) -> None:
    """Its cycle has ``pct_start=0.1``: with ten steps the way up has none."""
    root = write_wider(tmp_path / 'wider', train=2, val=1)
    cfg = lite_config(root, tmp_path, iterations, {'param_scheduler.total_steps': iterations})
    cfg.param_scheduler.pct_start = load_config(LITE_CONFIG).param_scheduler.pct_start
    runner = Runner.from_cfg(cfg)
    runner.register_hook(losses := Losses())
    runner.train()
    assert runner.iter == len(losses.values) == iterations


def test_batch_norm_of_a_single_value_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 128 pixels the last map has one cell; two images train."""
    root = write_wider(tmp_path / 'wider', train=3, val=1)
    options = {
        'data_root': f'{root}/',
        'input_size': 128,
        'max_iters': 2,
        'param_scheduler.total_steps': 2,
        'model.detector.neck.norm_cfg.type': 'BN',
    }
    handler = signal.getsignal(signal.SIGTERM)  # a training that fails leaves its own
    for batch in (1, 2):  # the second batch of two has one image
        more = {**options, 'train_dataloader.batch_size': batch}
        line = tool(monkeypatch, 'train', '--work-dir', str(tmp_path), options=more)
        signal.signal(signal.SIGTERM, handler)
        assert line.startswith('batch norm cannot train on one value per channel') and 'drop_last=True' in line
    losses = train(root, tmp_path, 2, {'input_size': 128, 'train_dataloader.drop_last': True})
    assert len(losses.names) == 4


@pytest.mark.parametrize('config', [LITE_CONFIG, MAIN_CONFIG])
def test_no_workers_need_nothing_else(config: str) -> None:
    """What is for workers is left out, in training, validation and test; with workers it stays."""
    names = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    options = {f'{name}.num_workers': 0 for name in names}
    options |= {'train_dataloader.prefetch_factor': 4, 'train_dataloader.timeout': 30}
    cfg = load_config(config, options)
    for name in names:
        settings = {key: value for key, value in cfg[name].items() if key not in ('dataset', 'sampler')}
        loader = DataLoader([{'inputs': 1}], **settings)  # torch refuses what is for workers
        assert [int(batch['inputs']) for batch in loader] == [1]
    with_workers = load_config(config, {'train_dataloader.prefetch_factor': 4})
    assert with_workers.train_dataloader.persistent_workers and with_workers.train_dataloader.prefetch_factor == 4
