"""Weights that nobody named are found, and the config that belongs to weights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from mmdark.apis import config_path
from mmdark.errors import InputError
from mmdark.inference import weights
from mmdark.inference.weights import config_of, find_weights


@pytest.fixture
def nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, an empty checkout, a package without weights."""
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    monkeypatch.setattr(weights, 'PACKAGE', tmp_path / 'checkout' / 'mmdark')
    monkeypatch.setattr(weights, 'SHIPPED', 'no_such_config')
    return tmp_path


def write(path: Path, age: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'weights')
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_the_quickstart_here_then_that_of_the_checkout(nothing_shipped: Path) -> None:
    with pytest.raises(InputError, match=r'in a clone of mmdark, or name trained ones'):
        find_weights()
    theirs = write(nothing_shipped / 'checkout' / 'work_dirs' / 'quickstart' / 'iter_260.pth')
    found = find_weights()
    assert found.path == theirs and found.config == config_path('quickstart/dsfd_dark_lite_demo.py')
    ours = Path('work_dirs') / 'quickstart'
    write(ours / 'iter_9.pth', age=0)
    write(ours / 'iter_260.pth', age=50)
    (ours / 'dsfd_dark_lite_demo.py').write_text('model = dict()')
    found = find_weights()
    assert found.path == ours / 'iter_9.pth' and 'work_dirs/quickstart' in found.where, 'the newest'
    assert found.config == config_path('quickstart/dsfd_dark_lite_demo.py'), 'not known to be a folder of training'
    write(ours / 'last_checkpoint')
    assert find_weights().config == ours / 'dsfd_dark_lite_demo.py', 'what it was trained with'


def test_what_is_shipped_comes_first(nothing_shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(nothing_shipped / 'here' / 'work_dirs' / 'quickstart' / 'iter_260.pth')
    monkeypatch.setattr(weights, 'SHIPPED', 'dsfd_dark_lite_wider')
    shipped = write(nothing_shipped / 'package' / 'dsfd_dark_lite_wider.pth')

    def weight_path(name: str) -> Path:
        assert name == 'mmdark://dsfd_dark_lite_wider.pth'
        return shipped

    monkeypatch.setattr(weights, 'weight_path', weight_path)
    found = find_weights()
    assert found == (shipped, config_path('dsfd_dark_lite_wider.py'), 'shipped with mmdark')


def test_the_config_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = dict(meta=dict(experiment_name='mine_20260102_030405'), state_dict={})
    path = tmp_path / 'iter_1.pth'
    with pytest.raises(InputError, match=r'does not tell .*model=CONFIG\.py') as caught:
        config_of(path, checkpoint)
    assert str(path) in str(caught.value)
    (tmp_path / 'strange.py').write_text('')
    with pytest.raises(InputError, match='does not tell'):
        config_of(path, checkpoint)  # any script may lie beside a file that was downloaded
    (tmp_path / 'last_checkpoint').write_text('')
    assert config_of(path, checkpoint) == tmp_path / 'strange.py', 'the only one, where a training wrote'
    (tmp_path / 'mine_tta.py').write_text('')
    (tmp_path / 'mine.py').write_text('')
    assert config_of(path, checkpoint) == tmp_path / 'mine.py'

    alone = Path('nowhere') / 'a.pth'
    for meta in (
        dict(experiment_name='dsfd_vgg16_wider_20260102_030405'),
        dict(config_name='dsfd_vgg16_wider'),
        dict(converted_from='vgg'),
    ):
        assert config_of(alone, dict(meta=meta)) == config_path('dsfd/dsfd_vgg16_wider.py')
    for name in ('strange', str(tmp_path / 'strange')):  # whoever wrote the checkpoint must not choose what is run
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError, match='does not tell'):
            config_of(alone, dict(meta=dict(config_name=name)))
    with pytest.raises(InputError, match='does not tell'):
        config_of(alone, dict(a=torch.zeros(1)))


def test_the_config_within_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    bait = f'open({str(tmp_path / "run")!r}, "w")'
    meta = dict(cfg=bait, config=bait)
    with pytest.raises(InputError, match='does not tell'):
        config_of(tmp_path / 'a.pth', dict(meta=meta, message_hub=dict(runtime_info=dict(cfg=bait))))
    assert not (tmp_path / 'run').exists()
