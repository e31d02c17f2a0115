"""Checkpoints under any torch: Runner's own round-trip, and no file runs code or fails with a traceback's riddle."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner
from mmengine.runner import checkpoint as mmengine_checkpoint
from torch import Tensor

from mmdark.compat import load_checkpoints_safely, read_checkpoint
from mmdark.compat.checkpoint_contents import CONFIG_TEXT
from mmdark.errors import InputError


class Line(BaseModel):
    """y = a x, which learns a = 3."""

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Linear(1, 1)
        self.norm = torch.nn.BatchNorm1d(1)

    def forward(self, inputs: Tensor, mode: str = 'loss') -> dict[str, Tensor]:
        return {'loss': ((self.norm(self.a(inputs)) - 3 * inputs) ** 2).mean()}


ONE_CYCLE = {'type': 'OneCycleLR', 'eta_max': 0.1, 'total_steps': 8}


def runner(work_dir: Path, iterations: int, schedule: dict[str, Any] = ONE_CYCLE, **options: Any) -> Runner:
    return Runner(
        model=Line(),
        work_dir=str(work_dir),
        train_dataloader={
            'batch_size': 2,
            'num_workers': 0,
            'dataset': [{'inputs': torch.tensor([float(number)])} for number in range(4)],
            'sampler': {'type': 'InfiniteSampler', 'shuffle': True},
            'collate_fn': {'type': 'default_collate'},
        },
        train_cfg={'type': 'IterBasedTrainLoop', 'max_iters': iterations},
        optim_wrapper={'optimizer': {'type': 'AdamW', 'lr': 0.01}},
        param_scheduler=[{**schedule, 'end': 8, 'by_epoch': False}],
        default_hooks={
            'checkpoint': {'type': 'CheckpointHook', 'by_epoch': False, 'interval': 3},
            'logger': {'type': 'LoggerHook', 'interval': 1},
        },
        log_processor={'by_epoch': False},
        log_level='ERROR',
        experiment_name=f'{work_dir.name}_{iterations}',
        randomness={'seed': 0},
        default_scope='mmdet',
        **options,
    )


@pytest.mark.parametrize(
    'schedule',
    [
        ONE_CYCLE,
        {**ONE_CYCLE, 'anneal_strategy': 'linear'},
        {'type': 'MultiStepLR', 'milestones': [2, 5]},
        {'type': 'CosineAnnealingLR', 'T_max': 8},
        {'type': 'LinearLR', 'start_factor': 0.1},
        {'type': 'PolyLR'},
    ],
    ids=lambda schedule: schedule['type'],
)
def test_runner_resumes_from_its_own_checkpoint(tmp_path: Path, schedule: dict[str, Any]) -> None:
    runner(tmp_path, 3, schedule).train()
    saved = read_checkpoint(tmp_path / 'iter_3.pth')
    assert saved['meta']['iter'] == 3

    resumed = runner(tmp_path, 6, schedule, load_from=str(tmp_path / 'iter_3.pth'), resume=True)
    resumed.train()
    final = read_checkpoint(tmp_path / 'iter_6.pth')
    assert final['meta']['iter'] == 6
    steps = {int(state['step']) for state in final['optimizer']['state'].values()}
    assert steps == {6}
    assert final['param_schedulers'][0]['last_step'] == 6
    history = final['message_hub']['log_scalars']['train/loss']
    assert type(history) is HistoryBuffer
    assert len(history.data[0]) == 6
    assert history.data[0][:3].tolist() == saved['message_hub']['log_scalars']['train/loss'].data[0].tolist()
    assert MessageHub.get_instance(resumed.experiment_name).get_scalar('train/loss').statistics('mean', 6) > 0


@pytest.mark.parametrize('zipped', [True, False])
def test_what_a_runner_checkpoint_may_hold_comes_back(tmp_path: Path, zipped: bool) -> None:
    state_dict = torch.nn.BatchNorm2d(3).state_dict()
    held = {
        'state_dict': state_dict,
        'message_hub': {'log_scalars': {'loss': HistoryBuffer([1.0, 2.0], [1, 1]), 'new': HistoryBuffer()}},
        'meta': {
            'dataset_meta': ConfigDict(classes=('face',), palette=[(220, 20, 60)]),
            'best': (np.float32(0.5), np.int64(3), np.bool_(True)),
            'arrays': [
                np.arange(6).reshape(2, 3),
                np.asfortranarray(np.arange(6.0).reshape(2, 3)),
                np.zeros((0, 4), dtype='>f4'),
                np.array(['day', 'night']),
                np.array(7),
            ],
        },
    }
    path = tmp_path / 'all.pth'
    torch.save(held, path, _use_new_zipfile_serialization=zipped)
    loaded = CheckpointLoader.load_checkpoint(str(path), 'cpu')

    assert all(torch.equal(loaded['state_dict'][name], value) for name, value in state_dict.items())
    assert loaded['state_dict']._metadata == state_dict._metadata
    assert loaded['message_hub']['log_scalars']['loss'].statistics('mean') == 1.5
    assert loaded['message_hub']['log_scalars']['loss'].data[1].tolist() == [1, 1]
    assert loaded['meta']['dataset_meta'] == {'classes': ('face',), 'palette': [(220, 20, 60)]}
    for value, expected in zip(loaded['meta']['best'], held['meta']['best'], strict=True):
        assert type(value) is type(expected)
        assert value == expected
    for value, expected in zip(loaded['meta']['arrays'], held['meta']['arrays'], strict=True):
        assert type(value) is np.ndarray
        assert value.dtype == expected.dtype
        np.testing.assert_array_equal(value, expected)
    torch.save(loaded, path)
    assert read_checkpoint(path)['meta']['best'] == held['meta']['best']


def test_only_local_files_get_another_loader() -> None:
    for address in ('http://a/b.pth', 'https://a/b.pth', 'torchvision://resnet50', 'open-mmlab://x', 's3://a/b'):
        assert CheckpointLoader._get_checkpoint_loader(address).__module__ == 'mmengine.runner.checkpoint'
    assert CheckpointLoader._get_checkpoint_loader('a/b.pth').__module__ == 'mmdark.compat.checkpoints'
    load_url = mmengine_checkpoint.load_url
    load_checkpoints_safely()
    assert mmengine_checkpoint.load_url is load_url


class Calls:
    """Pickles as a call, which runs where the pickle is loaded without care."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


def hostile(kind: str, mark: Path) -> Any:
    command = f'touch {mark}'
    if kind == 'system':
        return {'state_dict': {}, 'x': Calls(os.system, command)}
    if kind == 'eval':
        return {'state_dict': Calls(eval, f'__import__("os").system("{command}")')}
    if kind == 'getattr':
        return {'x': Calls(getattr, np.ndarray, 'dump')}
    if kind == 'object array':
        return {'x': np.array([Calls(os.system, command)], dtype=object)}
    if kind == 'structured array':
        return {'x': np.zeros(1, dtype=[('number', 'i4'), ('thing', 'O')])}
    if kind == 'history':
        history = HistoryBuffer([1.0], [1])
        history._statistics_methods = {'mean': os.system}
        return {'message_hub': {'log_scalars': {'loss': history}}}
    if kind == 'module':
        return {'model': torch.nn.Linear(1, 1)}
    raise KeyError(kind)


@pytest.mark.parametrize(
    ('kind', 'named'),
    [
        ('system', 'posix.system'),
        ('eval', r'eval|builtins\.eval'),
        ('getattr', 'builtins.getattr'),
        ('object array', r"numpy.dtype\('O8'\)|posix.system"),
        ('structured array', r"numpy.dtype\('V12'\)"),
        ('history', 'posix.system'),
        ('module', 'torch.nn.modules.linear.Linear'),
    ],
)
@pytest.mark.parametrize('load', [read_checkpoint, CheckpointLoader.load_checkpoint], ids=['ours', 'mmengine'])
def test_a_hostile_checkpoint_is_refused_and_runs_nothing(tmp_path: Path, kind: str, named: str, load: Any) -> None:
    path, mark = tmp_path / 'hostile.pth', tmp_path / 'ran'
    torch.save(hostile(kind, mark), path)
    with pytest.raises(InputError, match=f'hostile.pth is refused: it asks for ({named}), and') as info:
        load(str(path))
    assert '\n' not in str(info.value)
    assert not mark.exists()


def test_a_hostile_checkpoint_from_an_address_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    path, mark = tmp_path / 'hub' / 'checkpoints' / 'hostile.pth', tmp_path / 'ran'
    path.parent.mkdir(parents=True)
    torch.save(hostile('eval', mark), path)  # stands where the download would
    with pytest.raises(InputError, match=r'hostile.pth is refused'):
        CheckpointLoader.load_checkpoint('https://localhost/hostile.pth')
    assert not mark.exists()


def test_methods_named_by_a_checkpoint_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HistoryBuffer, '_statistics_methods', {'mean': HistoryBuffer.max})
    torch.save({'history': HistoryBuffer([1.0, 3.0], [1, 1])}, tmp_path / 'a.pth')
    monkeypatch.undo()
    assert read_checkpoint(tmp_path / 'a.pth')['history'].statistics('mean') == 2


def test_a_config_inside_the_checkpoint_is_not_executed(tmp_path: Path) -> None:
    torch.save({'meta': {'config': 'import os', 'iter': 3}, 'state_dict': {}}, tmp_path / 'a.pth')
    assert read_checkpoint(tmp_path / 'a.pth')['meta'] == {'iter': 3}  # Runner.resume runs meta['config']


def test_no_text_of_a_config_is_left_where_mmdet_runs_it(tmp_path: Path) -> None:
    """``DetInferencer`` without a config takes ``runtime_info.cfg``, else ``meta.cfg``, and runs it."""
    from mmdet.apis import DetInferencer

    mark = tmp_path / 'ran'
    bait = f'open({str(mark)!r}, "w")'
    for content in ({'message_hub': {'runtime_info': {'cfg': bait}}, 'meta': {}}, {'meta': {'cfg': bait}}):
        torch.save({'state_dict': {}, **content}, tmp_path / 'a.pth')
        with pytest.raises(Exception, match='Cannot find the config'):
            DetInferencer(weights=str(tmp_path / 'a.pth'), device='cpu')
        assert not mark.exists()
    assert read_checkpoint(tmp_path / 'a.pth')['meta'] == {CONFIG_TEXT: bait}


def test_each_flipped_bit_of_the_weights_is_found(tmp_path: Path) -> None:
    path, random = tmp_path / 'a.pth', np.random.default_rng(0)
    torch.save({'state_dict': {'a': torch.arange(5000.0)}}, path)
    whole = path.read_bytes()
    start = whole.index(torch.arange(5000.0).numpy().tobytes())
    for place in random.integers(start, start + 20000, 30):
        content = bytearray(whole)
        content[place] ^= 1 << int(random.integers(8))
        path.write_bytes(content)
        with pytest.raises(InputError, match=r'a\.pth is damaged \(Bad CRC-32'):
            read_checkpoint(path)


def test_weights_written_without_checksums_are_read(tmp_path: Path) -> None:
    set_options = getattr(torch.serialization, 'set_crc32_options', None)
    if set_options is None:
        pytest.skip('this torch always writes them')
    set_options(False)
    torch.save({'a': torch.arange(9)}, tmp_path / 'a.pth')
    set_options(True)
    assert read_checkpoint(tmp_path / 'a.pth')['a'].tolist() == list(range(9))


def test_shared_tuples_stay_shared_and_are_restored(tmp_path: Path) -> None:
    shared = (np.arange(3), 'x')
    torch.save({'meta': {'a': shared, 'b': [shared]}}, tmp_path / 'a.pth')
    meta = read_checkpoint(tmp_path / 'a.pth')['meta']
    assert meta['a'] is meta['b'][0] and meta['a'][0].tolist() == [0, 1, 2]


def test_an_attribute_does_not_hide_a_method(tmp_path: Path) -> None:
    state = torch.nn.BatchNorm1d(2).state_dict()
    state.copy = 5
    torch.save(state, tmp_path / 'a.pth')
    assert list(read_checkpoint(tmp_path / 'a.pth').copy()) == list(state)


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ({'meta': [1]}, 'its meta is a list, where a dict is needed'),
        ({'state_dict': [1]}, 'its state_dict is a list, where a dict is needed'),
        ({'state_dict': {3: torch.zeros(1)}}, 'names a weight by a int, not by a text'),
        ({'meta': {'dataset_meta': [1]}}, r'its meta\.dataset_meta is a list, where a dict is needed'),
        ({'meta': {'dataset_meta': {'CLASSES': (1,)}}}, r'its meta\.dataset_meta\.CLASSES is no list of texts'),
        ({'meta': {'experiment_name': 7}}, r'its meta\.experiment_name is a int, where a text is needed'),
        ({'message_hub': {'runtime_info': 'x'}}, r'its message_hub\.runtime_info is a str, where a dict is needed'),
    ],
)
def test_an_entry_of_another_kind_gets_a_line(tmp_path: Path, content: dict, said: str) -> None:
    torch.save({'state_dict': {}, **content}, tmp_path / 'a.pth')
    with pytest.raises(InputError, match=f'a.pth.*{said}'):
        read_checkpoint(tmp_path / 'a.pth')


def damaged(kind: str, path: Path) -> None:
    torch.save({'state_dict': torch.nn.Linear(64, 64).state_dict()}, path)
    whole = path.read_bytes()
    if kind == 'empty':
        path.write_bytes(b'')
    elif kind == 'truncated':
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == 'truncated, old format':
        torch.save({'a': torch.zeros(999)}, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == 'a picture':
        path.write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(64))
    elif kind == 'text':
        path.write_text('version https://git-lfs\n')
    elif kind == 'a plain pickle':
        path.write_bytes(pickle.dumps({'a': 1}))
    elif kind == 'an archive':
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('a.txt', 'a')
    elif kind == 'a list':
        torch.save([1, 2], path)
    else:
        raise KeyError(kind)


@pytest.mark.parametrize(
    'kind',
    ['empty', 'truncated', 'truncated, old format', 'a picture', 'text', 'a plain pickle', 'an archive', 'a list'],
)
def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / 'damaged.pth'
    damaged(kind, path)
    with pytest.raises(InputError, match=r'^checkpoint .*damaged\.pth .*: ') as info:
        CheckpointLoader.load_checkpoint(str(path), 'cpu')
    assert '\n' not in str(info.value)


def test_a_missing_file_or_a_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'nothing\.pth does not exist'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'nothing.pth'))
    with pytest.raises(InputError, match='is a folder'):
        CheckpointLoader.load_checkpoint(str(tmp_path))
