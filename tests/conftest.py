"""Importing mmdark first bridges mmcv, whichever test module is collected first."""

import gc
import signal
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from mmengine.config import config
from mmengine.registry import init_default_scope
from torch import distributed
from yapf.yapflib import yapf_api

from mmdark.apis import leave_distributed

init_default_scope('mmdet')


@pytest.fixture(autouse=True, scope='session')
def _plain_config_text() -> Iterator[None]:
    """A Runner formats its config five times with yapf, which takes longer than most of the tests."""

    def plain(text: str, **_: object) -> tuple[str, bool]:
        return text, True

    with patch.object(yapf_api, 'FormatCode', plain), patch.object(config, 'FormatCode', plain, create=True):
        yield


@pytest.fixture(autouse=True, scope='session')
def _ctrl_c_is_heard() -> Iterator[None]:
    """What a shell starts in the background ignores SIGINT, and hands that on to all it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True, scope='module')
def _quick_garbage_collection() -> Iterator[None]:
    """Each data set collects garbage, which takes a second where half of the objects are modules' and tests'."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def one_process() -> Iterator[None]:
    """A gloo group of this process alone."""
    distributed.init_process_group('gloo', store=distributed.HashStore(), rank=0, world_size=1)
    yield
    leave_distributed()
