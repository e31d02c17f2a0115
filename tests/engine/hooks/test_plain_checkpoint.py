"""Checkpoints load with plain ``torch.load(weights_only=True)``, in a process that has neither mmdark nor mmengine."""

import logging
import subprocess
import sys
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, MMLogger
from mmengine.runner import Runner

from mmdark.compat import plain, read_checkpoint
from mmdark.engine.hooks import PlainCheckpoint
from tests.tiny_line import line_runner

STRANGERS_VIEW = """
import sys, torch
for path in sys.argv[1:]:
    content = torch.load(path, weights_only=True)
    print(content['meta']['iter'], sorted(content))
print(sorted(name for name in sys.modules if name.split('.')[0] in ('mmdark', 'mmengine', 'mmdet')))
"""


class Info(Hook):
    """Puts values of all kinds into the message hub."""

    def before_train(self, runner: Runner) -> None:
        for name, value in {
            'array': np.arange(6, dtype='>f4').reshape(2, 3),
            'names': np.array(['a', 'b']),
            'number': np.float32(0.5),
            'path': Path('a') / 'b',
            'config': ConfigDict(a=(1, ConfigDict(b=np.int64(2)))),
            'thing': object(),
            'things': {'good': 1, 'bad': [object()]},
        }.items():
            runner.message_hub.update_info(name, value)


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A work dir, and what was said."""
    folder, lines = tmp_path_factory.mktemp('plain'), []
    runner = line_runner(folder, [Info()], epochs=1, save_best='score', rule='greater')
    handler = logging.Handler()
    handler.emit = lambda entry: lines.append(entry.getMessage())
    MMLogger.get_current_instance().addHandler(handler)
    runner.train()
    return folder, lines


def test_a_stranger_reads_them(trained: tuple[Path, list[str]]) -> None:
    paths = [str(trained[0] / name) for name in ('iter_1.pth', 'iter_4.pth', 'best_score_iter_4.pth')]
    done = subprocess.run(
        [sys.executable, '-c', STRANGERS_VIEW, *paths], capture_output=True, text=True, check=False, cwd=trained[0]
    )
    keys = ['message_hub', 'meta', 'optimizer', 'param_schedulers', 'state_dict']
    small = ['message_hub', 'meta', 'state_dict']
    assert done.stdout.splitlines() == [f'1 {keys}', f'4 {keys}', f'4 {small}', '[]'], done.stderr[-1000:]


def test_values_stay_what_they_say(trained: tuple[Path, list[str]]) -> None:
    info = torch.load(trained[0] / 'iter_4.pth', weights_only=True)['message_hub']['runtime_info']
    assert info['array'].tolist() == [[0, 1, 2], [3, 4, 5]] and info['array'].dtype == torch.float32
    assert info['names'] == ['a', 'b'] and info['path'] == str(Path('a') / 'b')
    assert info['number'] == 0.5 and type(info['number']) is float
    assert info['config'] == {'a': (1, {'b': 2})} and type(info['config']) is dict
    assert 'thing' not in info and info['things'] == {'good': 1}


def test_what_is_left_out_is_said_once(trained: tuple[Path, list[str]]) -> None:
    said = [line.split(' is left out')[0] for line in trained[1] if 'is left out' in line]
    assert said == ['message_hub.runtime_info.thing', 'message_hub.runtime_info.things.bad']


def test_the_log_history_comes_back_and_goes_on(trained: tuple[Path, list[str]], tmp_path: Path) -> None:
    path = trained[0] / 'iter_4.pth'
    before = read_checkpoint(path)['message_hub']['log_scalars']['train/loss']
    assert type(before) is HistoryBuffer and len(before.data[0]) == 4
    stored = torch.load(path, weights_only=True)['message_hub']['log_scalars']['train/loss']
    assert stored['log_history'].tolist() == before.data[0].tolist() and stored['count_history'].tolist() == [1] * 4
    runner = line_runner(tmp_path, epochs=2, resume=path)
    runner.train()
    after = runner.message_hub.get_scalar('train/loss')
    assert after.data[0][:4].tolist() == before.data[0].tolist() and len(after.data[0]) == 8
    assert after.max_length == before.max_length and after.mean(8) == after.data[0].mean()


@pytest.mark.parametrize(
    'value',
    [None, True, 3, 2.5, 1j, 'text', b'bytes', (1, [2, {3}]), {1: 'a'}, torch.ones(2), torch.float16],
)
def test_plain_values_stay_as_they_are(value: Any) -> None:
    left_out: list[str] = []
    found = plain(value, left_out)
    assert type(found) is type(value) and left_out == []
    assert torch.equal(found, value) if isinstance(value, torch.Tensor) else found == value


def test_a_counter_becomes_a_dict() -> None:
    """torch 2.1 reads no ``Counter``, and the schedules of mmengine that hold one work with a dict."""
    assert type(plain(Counter(a=2), [])) is dict


def test_a_state_dict_keeps_its_versions() -> None:
    state = torch.nn.BatchNorm2d(3).state_dict()
    content = {'state_dict': OrderedDict(state), 'ema_state_dict': state}
    PlainCheckpoint().before_save_checkpoint(None, content)
    assert content['ema_state_dict']._metadata == state._metadata


def test_a_one_cycle_schedule_goes_on_without_its_function(tmp_path: Path) -> None:
    """Reference: the learning rates of the uninterrupted run."""

    class Rates(Hook):
        def __init__(self) -> None:
            self.seen: list[float] = []

        def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
            self.seen.append(runner.optim_wrapper.get_lr()['lr'][0])

    schedule = [{'type': 'OneCycleLR', 'eta_max': 0.1, 'total_steps': 20, 'by_epoch': False}]
    whole, rest = Rates(), Rates()
    line_runner(tmp_path, [whole], schedule=schedule).train()
    checkpoint = tmp_path / 'iter_7.pth'
    assert 'anneal_func' not in torch.load(checkpoint, weights_only=True)['param_schedulers'][0]
    line_runner(tmp_path / 'on', [rest], schedule=schedule, resume=checkpoint).train()
    assert len(set(whole.seen)) > 15 and rest.seen == whole.seen[7:]
