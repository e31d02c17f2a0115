"""From the command line to a Runner: options reach every place they should, and what is wrong ends in one line."""

import copy
import gc
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import VISBACKENDS
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from mmdark.apis import (
    enable_amp,
    enable_tensorboard,
    in_bfloat16,
    launch,
    load_config,
    prepare_distributed,
    run_and_leave,
    run_or_explain,
)
from mmdark.errors import EMPTY_DATA, InputError
from tests.meeting import meeting
from tests.tiny_wider import LITE as TINY
from tests.tiny_wider import ROOT, write_wider
from tests.two_processes import run_two_processes

MAIN = str(ROOT / 'configs' / 'dsfd_dark_wider.py')
LITE = str(ROOT / 'configs' / 'dsfd_dark_lite_wider.py')
QUICK = str(ROOT / 'configs' / 'quickstart' / 'dsfd_dark_lite_demo.py')


def values(node: Any, key: str) -> list[Any]:
    """All that stands under ``key`` anywhere below ``node``."""
    if isinstance(node, dict):
        own = [node[key]] if key in node else []
        return own + [v for child in node.values() for v in values(child, key)]
    if isinstance(node, (list, tuple)):
        return [v for child in node for v in values(child, key)]
    return []


@pytest.mark.parametrize(('path', 'at_least'), [(MAIN, 4), (LITE, 6), (QUICK, 3)])
def test_a_variable_moves_wherever_it_stands(path: str, at_least: int) -> None:
    roots = values(load_config(path, {'data_root': 'elsewhere/'})._cfg_dict, 'data_root')
    assert len(roots) >= at_least and set(roots) == {'elsewhere/'}
    sizes = values(load_config(path, {'input_size': 99}).train_dataloader, 'input_size')
    assert sizes and set(sizes) == {99}


def test_a_value_of_ones_own_under_the_same_name_stays() -> None:
    """Only what has the variable's value follows it."""
    cfg = load_config(MAIN, {'data_root': 'a/', 'val_dataloader.dataset.data_root': 'b/'})
    assert cfg.train_dataloader.dataset.data_root == 'a/' and cfg.val_dataloader.dataset.data_root == 'b/'


def test_options_are_merged_and_the_rest_stays() -> None:
    options = {'train_dataloader.batch_size': 3, 'train_dataloader.dataset.pipeline.0.to_float32': True, 'resume': True}
    cfg = load_config(MAIN, options)
    expected = Config.fromfile(MAIN)
    expected.train_dataloader.batch_size = 3
    expected.train_dataloader.dataset.pipeline[0].to_float32 = True
    expected.resume, expected.work_dir = True, cfg.work_dir
    assert cfg._cfg_dict == expected._cfg_dict


def test_a_whole_part_may_be_replaced_and_new_keys_added_to_one() -> None:
    options = {'model.enhancer': None, 'auto_scale_lr.enable': True, 'default_hooks.ema': {'type': 'EMAHook'}}
    cfg = load_config(MAIN, options)
    assert cfg.model.enhancer is None and cfg.auto_scale_lr.enable and cfg.default_hooks.ema.type == 'EMAHook'


def test_any_default_hook_can_be_left_out(tmp_path: Path) -> None:
    """mmengine itself takes None for its own hooks only."""
    left_out = ('timer', 'draw_train_panels', 'validation_loss', 'keep_freed_memory')
    small = {**TINY, 'experiment_name': uuid4().hex, 'val_dataloader': None, 'val_cfg': None, 'val_evaluator': None}
    root = write_wider(tmp_path / 'wider', train=1, val=1)
    options = {**small, 'data_root': f'{root}/', **{f'default_hooks.{name}': None for name in left_out}}
    cfg = load_config(LITE, options, str(tmp_path))
    names = {type(hook).__name__ for hook in Runner.from_cfg(cfg).hooks}
    assert not names & {'IterTimerHook', 'DrawTrainPanels', 'ValidationLoss', 'KeepFreedMemory'}
    assert {'WholeCheckpoint', 'LoggerHook', 'SaveOnSigterm'} <= names


def test_work_dir(tmp_path: Path) -> None:
    assert load_config(MAIN).work_dir == str(Path('work_dirs') / 'dsfd_dark_wider')
    assert load_config(MAIN, work_dir='here').work_dir == 'here'
    own = tmp_path / 'own.py'
    own.write_text(f"_base_ = ['{MAIN}']\nwork_dir = 'mine'\n")
    assert load_config(str(own)).work_dir == 'mine' and load_config(str(own), work_dir='here').work_dir == 'here'


@pytest.mark.parametrize(
    ('key', 'said'),
    [
        ('train_dataloder.batch_size', r"no 'train_dataloder' in the config; did you mean 'train_dataloader'\?"),
        ('data_rot', r"no 'data_rot' in the config; did you mean 'data_root'\?"),
        ('resum', r"no 'resum' in the config; did you mean 'resume'\?"),
        ('model.detector.bakcbone.widen_factor', r"no 'bakcbone' in the config; did you mean 'backbone'\?"),
        ('model.detector.test_cfg.score_tr', r"no 'score_tr' in the config; did you mean 'score_thr'\?"),
        ('model.detector.backbone.widen.factor', r"no 'widen' in the config; known here: init_cfg, type"),
        (
            'train_dataloader.dataset.pipeline.77.type',
            r"no '77' in the config; train_.*\.pipeline has the entries 0 to 7",
        ),
        ('train_dataloader.dataset.pipeline.-1.type', r"no '-1' in the config; .* 0 to 7"),
        (
            'model.detector.neck.in_channels.6',
            r"no '6' in the config; model\.detector\.neck\.in_channels has the entries 0 to 5",
        ),
        ('model.enhancer.init_cfg.checkpoint.x', r"no 'x' in the config; model.*checkpoint is 'mmdark://retinexnet_"),
    ],
)
def test_a_key_that_does_not_exist_is_refused_with_what_comes_near(key: str, said: str) -> None:
    with pytest.raises(InputError, match=rf'^--cfg-options {key}: there is {said}') as caught:
        load_config(MAIN, {key: 1})
    assert '\n' not in str(caught.value)


def test_a_misspelt_key_of_the_config_itself(tmp_path: Path) -> None:
    own = tmp_path / 'own.py'
    own.write_text("train_dataloder = dict(batch_size=2)\nmodel = dict(type='DSFD')\n")
    with pytest.raises(InputError, match=r"own\.py: nothing reads 'train_dataloder'; did you mean 'train_dataloader'"):
        load_config(str(own))


def test_unknown_config() -> None:
    with pytest.raises(InputError, match=r'^config configs/nowhere\.py does not exist$'):
        load_config('configs/nowhere.py')


@pytest.mark.parametrize(
    'step',
    [
        "dict(type='DarkISP', keep_light=False)",
        "dict(type='RandomChoice', transforms=[[], [dict(type='DarkISP', keep_light=False)]])",
        "dict(type='DarkISP')",
    ],
)
def test_what_the_pipeline_darkens_is_not_darkened_again(tmp_path: Path, step: str) -> None:
    path = tmp_path / 'dark.py'
    base = ROOT / 'configs' / 'fcos' / 'fcos_r18_wider_dark.py'
    path.write_text(
        f"_base_ = '{base}'\n"
        f"steps = [*_base_.load, *_base_.augment, {step}, dict(type='PackDetInputs')]\n"
        'train_dataloader = dict(dataset=dict(pipeline=steps))'
    )
    with pytest.raises(InputError, match=r'would darken twice; leave out the step, or set model\.data_preprocessor='):
        load_config(str(path))
    assert load_config(str(base)).model.data_preprocessor.dark_isp == 'corrected'


def test_the_file_in_the_work_directory_reads_back(tmp_path: Path) -> None:
    cfg = load_config(QUICK)
    cfg.dump(tmp_path / 'a.py')
    assert Config.fromfile(tmp_path / 'a.py')._cfg_dict == cfg._cfg_dict == copy.deepcopy(cfg)._cfg_dict


def test_tensorboard_comes_beside_the_log_and_only_once() -> None:
    cfg = load_config(MAIN)
    for _ in range(2):
        enable_tensorboard(cfg)
        assert [each['type'] for each in cfg.visualizer.vis_backends] == ['LocalVisBackend', 'TensorboardVisBackend']


def test_a_missing_backend_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the message of mmengine, which names the package."""
    monkeypatch.setitem(sys.modules, 'wandb', None)
    with pytest.raises(SystemExit, match=r'^error: Please run "pip install wandb" to install wandb$'):
        run_or_explain(lambda: VISBACKENDS.build(dict(type='WandbVisBackend', save_dir=str(tmp_path))).experiment)


def test_amp() -> None:
    cfg = load_config(MAIN)
    before = dict(cfg.optim_wrapper)
    enable_amp(cfg)
    assert cfg.optim_wrapper == {**before, 'type': 'Bfloat16OptimWrapper'}


def test_processes_without_cuda_talk_through_gloo(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.distributed, 'init_process_group', started.append)
    cfg = load_config(MAIN)
    prepare_distributed(cfg, 'none')
    assert cfg.launcher == 'none' and started == [] and 'model_wrapper_cfg' not in cfg
    with pytest.raises(InputError, match='--launcher slurm needs CUDA'):
        prepare_distributed(cfg, 'slurm')
    prepare_distributed(cfg, 'pytorch')
    assert cfg.launcher == 'pytorch' and started == ['gloo'] and cfg.model_wrapper_cfg.device_ids is None
    assert not cfg.model_wrapper_cfg.find_unused_parameters and not cfg.model_wrapper_cfg.broadcast_buffers
    cfg = load_config(MAIN, {'find_unused_parameters': True})
    cfg.model_wrapper_cfg = {'bucket_cap_mb': 1}
    prepare_distributed(cfg, 'pytorch')
    assert cfg.model_wrapper_cfg.find_unused_parameters and cfg.model_wrapper_cfg.bucket_cap_mb == 1
    for name in ('day', 'dark'):
        cfg = load_config(f'rtmdet_tiny_wider_{name}')
        prepare_distributed(cfg, 'pytorch')
        assert cfg.model.get('detector', cfg.model).use_syncbn is False


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_with_cuda_the_launcher_is_left_to_mmengine(monkeypatch: pytest.MonkeyPatch, launcher: str) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = load_config(MAIN)
    prepare_distributed(cfg, launcher)
    assert cfg.launcher == launcher and 'model_wrapper_cfg' not in cfg and not torch.distributed.is_initialized()


class Broken(Dataset):
    """Finds out about its one image in the worker."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        raise InputError('image a.jpg is cut off: copy it again')


def in_a_worker() -> None:
    list(DataLoader(Broken(), num_workers=1))


def plainly() -> None:
    raise InputError('image a.jpg is cut off: copy it again')


@pytest.mark.parametrize('main', [plainly, in_a_worker])
def test_bad_input_is_one_line_and_status_1(main: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL', 0.1)  # how long torch waits for its worker
    with pytest.raises(SystemExit) as caught:
        run_or_explain(main)
    assert caught.value.code == 'error: image a.jpg is cut off: copy it again'  # Python prints it, with status 1
    del caught
    gc.collect()  # while the patience is short


@pytest.mark.parametrize(
    ('config', 'said'),
    [
        ({'type': 'DarkVGGG'}, 'DarkVGGG is not in the '),
        ({'type': 'DarkVGG', 'widen_fctor': 0.5}, "unexpected keyword argument 'widen_fctor'"),
        ({'type': 'ConvModule'}, 'missing '),
        (
            {'type': 'ConvModule', 'in_channels': 3, 'out_channels': 3},
            "missing 1 required positional argument: 'kernel_",
        ),
    ],
)
def test_a_config_that_cannot_be_built_is_one_line(config: dict, said: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run_or_explain(lambda: MODELS.build(config))
    line = caught.value.code
    assert line.startswith('error: the config cannot be built: ') and said in line and '\n' not in line


def test_two_bases_that_say_the_same_are_one_line(tmp_path: Path) -> None:
    for name in 'ab':
        (tmp_path / f'{name}.py').write_text('a = 1')
    (tmp_path / 'own.py').write_text("_base_ = ['./a.py', './b.py']")
    with pytest.raises(SystemExit, match='the config cannot be built: Duplicate key is not allowed among bases'):
        run_or_explain(lambda: load_config(str(tmp_path / 'own.py')))


@pytest.mark.parametrize('error', [TypeError('no number'), KeyError('loss'), ValueError('shape'), RuntimeError('gone')])
def test_other_errors_keep_their_traceback(error: Exception) -> None:
    def main() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        run_or_explain(main)
    assert caught.value is error


@pytest.mark.parametrize('end', [None, SystemExit(), SystemExit(0)])
def test_all_well_ends_quietly(monkeypatch: pytest.MonkeyPatch, end: SystemExit | None) -> None:
    calls: list[str] = []
    group = SimpleNamespace(
        is_initialized=lambda: True,
        barrier=lambda async_op: SimpleNamespace(is_completed=lambda: True, wait=lambda: calls.append('waited')),
        destroy_process_group=lambda: calls.append('destroyed'),
    )
    monkeypatch.setattr(sys.modules['mmdark.apis.launch'].torch, 'distributed', group)

    def main() -> None:
        calls.append('ran')
        if end is not None:
            raise end

    run_and_leave(main)
    assert calls == ['ran', 'waited', 'destroyed']


BUSY = """
import os, time, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from mmdark.apis import leave_distributed

dist.init_process_group('gloo')
circle = [DistributedDataParallel(torch.nn.Linear(2, 2))]
circle.append(circle)
time.sleep(2 * int(os.environ['RANK']))
exchanges = [dist.all_reduce(torch.ones(1), async_op=True) for _ in range(100)]
del circle, exchanges
leave_distributed()
"""


@pytest.mark.one_family
def test_a_thread_that_still_frees_tensors_does_not_hold_up_the_end() -> None:
    """The second process keeps the first waiting, whose threads are thus busy, for certain, when it leaves."""
    with meeting() as place:
        environment = {**os.environ, **place, 'PYTHONPATH': str(ROOT), 'WORLD_SIZE': '2'}
        processes = [
            subprocess.Popen([sys.executable, '-c', BUSY], env={**environment, 'RANK': str(rank)}) for rank in range(2)
        ]
        try:
            assert [process.wait(timeout=240) for process in processes] == [0, 0]
        finally:
            for process in processes:
                process.kill()


def leave(limit: float) -> None:
    """As one of two processes, of which the first still writes for a second."""
    launch.LEAVING = limit
    torch.distributed.init_process_group('gloo')
    if torch.distributed.get_rank() == 0:
        time.sleep(1)
        print('written', time.time(), flush=True)
    launch.leave_distributed()
    print('left', time.time(), flush=True)


def test_nobody_leaves_while_the_first_still_writes() -> None:
    first, second = run_two_processes(leave, 60.0)
    written, left = re.search(r'^written (.*)', first, re.M)[1], re.search(r'^left (.*)', second, re.M)[1]
    assert 'left' in first and float(left) > float(written)


def test_nobody_waits_for_ever() -> None:
    first, second = run_two_processes(leave, 0.2, statuses=(0, 1))
    assert 'left' in first and 'left' not in second
    assert second == 'error: the other processes did not end within 0.2 seconds\n'


def test_another_status_is_kept() -> None:
    with pytest.raises(SystemExit, match='3'):
        run_and_leave(lambda: sys.exit(3))


@pytest.mark.parametrize(
    ('error', 'said'),
    [
        (FileNotFoundError(2, 'No such file', 'annotations/train.json'), 'annotations/train.json does not exist'),
        (ValueError('need at least one array to concatenate'), 'has no image to train on'),
    ],
)
def test_what_mmdet_says_of_missing_data_is_one_line(error: Exception, said: str) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        run_or_explain(main)
    assert said in caught.value.code and '\n' not in caught.value.code


def test_an_empty_data_set_raises_what_we_explain() -> None:
    """mmengine's message, which ``run_or_explain`` knows."""
    with pytest.raises(ValueError, match=EMPTY_DATA):
        BaseDataset(pipeline=[], lazy_init=True)._serialize_data()


def test_a_test_in_bfloat16() -> None:
    class Layer(torch.nn.Linear):
        def test_step(self, data: dict) -> list[torch.Tensor]:
            return [self(data['inputs'])]

    layer = Layer(2, 2)
    (half,) = in_bfloat16(layer)({'inputs': torch.ones(1, 2)})
    (whole,) = layer.test_step({'inputs': torch.ones(1, 2)})
    assert half.dtype == torch.bfloat16 and whole.dtype == torch.float32
    assert torch.allclose(half.float(), whole, atol=0.02)
