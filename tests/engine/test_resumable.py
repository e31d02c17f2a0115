"""A checkpoint with odd entries ends a resume with one line, before anything is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdark.apis import last_checkpoint
from mmdark.compat import read_checkpoint
from mmdark.engine.resumable import check_resumable
from mmdark.engine.trained_settings import read_settings
from mmdark.errors import InputError
from tests.tiny_resume import train


@pytest.fixture(scope='module')
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A checkpoint of a training."""
    folder = tmp_path_factory.mktemp('run')
    train(folder, 5)
    return read_checkpoint(folder / 'iter_5.pth')


def put(name: str, value: Any) -> Callable[[dict], None]:
    """Put a value at a dotted name; ``...`` takes the entry away."""

    def change(content: dict) -> None:
        *above, last = name.split('.')
        for part in above:
            content = content[part]
        if value is ...:
            del content[last]
        else:
            content[last] = value

    return change


ODD = {
    'meta.iter': ['5', ..., -1, 10**15, None, True],
    'meta.epoch': ['0', ..., 0.5],
    'meta.seed': ['0', -1, 2**40],
    'meta.time': [7],
    'message_hub': [..., []],
    'message_hub.log_scalars': [..., []],
    'message_hub.resumed_keys': [..., 3],
    'message_hub.runtime_info': [..., 'x'],
    'message_hub.runtime_info.keep_ckpt_ids': [3],
    'message_hub.runtime_info.last_ckpt': [3],
    'message_hub.runtime_info.own_ckpts': ['x'],
    'message_hub.runtime_info.trained_samples': [3, {'iter': 5}, {'iter': 5, 'of': 'x', 'epoch': 0, 'samples': 3}],
    'message_hub.runtime_info.validation_seconds': ['x'],
    'message_hub.runtime_info.best_score': ['x'],
    'message_hub.runtime_info.best_ckpt': [3],
    'optimizer': [[], {'param_groups': 3}, {'param_groups': [3], 'state': {}}, {'x': 3}],
    'optimizer.state': [3, {0: 3}],
    'param_schedulers': ['x'],
}
CASES = [(name, value) for name, values in ODD.items() for value in values]


def test_what_training_writes_is_resumable(good: dict[str, Any]) -> None:
    check_resumable(good, 'a.pth')


@pytest.mark.parametrize(('name', 'value'), CASES, ids=lambda value: str(value))
def test_an_odd_entry_gets_a_line(good: dict[str, Any], name: str, value: Any) -> None:
    content = copy.deepcopy(good)
    put(name, value)(content)
    with pytest.raises(InputError, match=r'^checkpoint a\.pth: its ') as caught:
        check_resumable(content, 'a.pth')
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize('name', ['meta.iter', 'optimizer.state'])
def test_a_resume_ends_with_that_line(good: dict[str, Any], name: str, tmp_path: Path) -> None:
    content = copy.deepcopy(good)
    put(name, 'x')(content)
    torch.save(content, tmp_path / 'odd.pth')
    with pytest.raises(InputError, match=r'odd\.pth: its '):
        train(tmp_path / 'run', resume=tmp_path / 'odd.pth')


def test_the_newest_checkpoint_is_found_beside_odd_ones(good: dict[str, Any], tmp_path: Path) -> None:
    torch.save(good, tmp_path / 'iter_5.pth')
    for number, (name, value) in enumerate((('meta.time', 7), ('meta.iter', 'x'))):
        content = copy.deepcopy(good)
        put(name, value)(content)
        torch.save(content, tmp_path / f'odd_{number}.pth')
    lines: list[str] = []
    assert last_checkpoint(str(tmp_path), say=lines.append) == str(tmp_path / 'iter_5.pth') and len(lines) == 2


@pytest.mark.parametrize('text', ['(' * 10**4, '-' * 10**5 + '1', 'a = ' + '[' * 90 + ']' * 90, 'a\0b', 'a = {**x}'])
def test_the_text_of_a_config_may_be_anything(text: str) -> None:
    assert isinstance(read_settings(text), dict)
