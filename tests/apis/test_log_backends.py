"""TensorBoard is one flag, other backends one config line; what is not installed is said before anything is loaded."""

import inspect

import pytest
from mmengine.config import Config
from mmengine.registry import VISBACKENDS

from mmdark.apis import load_config
from mmdark.apis.log_backends import PACKAGES, check_backends, enable_tensorboard
from mmdark.errors import InputError
from tests.tiny_wider import ROOT

MAIN = str(ROOT / 'configs' / 'dsfd_dark_wider.py')


def types(cfg: Config) -> list[str]:
    return [backend['type'] for backend in cfg.visualizer.vis_backends]


def test_tensorboard_comes_beside_the_log_and_only_once() -> None:
    cfg = load_config(MAIN)
    for _ in range(2):
        enable_tensorboard(cfg)
        assert types(cfg) == ['LocalVisBackend', 'TensorboardVisBackend']


def test_what_is_there_is_not_complained_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mmdark.apis.log_backends.find_spec', lambda name: object())
    cfg = load_config(MAIN)
    enable_tensorboard(cfg)
    check_backends(cfg)
    check_backends(Config({}))


@pytest.mark.parametrize('name', PACKAGES)
def test_what_is_missing_is_named_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a backend of mmengine that imports the package we say."""
    package, _ = PACKAGES[name]
    assert f'import {package}' in (source := inspect.getsource(VISBACKENDS.get(name))) or package in source
    monkeypatch.setattr('mmdark.apis.log_backends.find_spec', lambda asked: None if asked == package else object())
    cfg = load_config(MAIN, {'visualizer.vis_backends': [{'type': 'LocalVisBackend'}, {'type': name}]})
    with pytest.raises(InputError, match=rf'^{name} needs the package {package}, which is not installed: pip install'):
        check_backends(cfg)
