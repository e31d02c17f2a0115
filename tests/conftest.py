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

ONE_FAMILY = (
    'benchmark',
    'dark_isp',
    'deploy/test_export_onnx',
    'drawing',
    'engine/test_one_or_many',
    'engine/test_same_gradients',
    'evaluation/test_average_precision',
    'evaluation/test_box_units',
    'evaluation/test_dark_face_files',
    'evaluation/test_dark_face_protocol',
    'evaluation/test_matching',
    'evaluation/test_prediction',
    'evaluation/test_wider_protocol',
    'inference/test_file_kinds',
    'inference/test_image_sources',
    'inference/test_result_files',
    'inference/test_tiles',
    'inference/test_video',
    'parity',
    'test_architecture',
    'test_damaged_labels',
    'test_dark_isp',
    'test_errors',
    'test_file_limits',
    'test_hostile_files',
    'test_image_fuzz',
    'test_killed_training',
    'test_limited_child',
    'test_packaging',
    'test_doc_',
    'test_whole_file',
    'tools/test_benchmark',
    'tools/test_check_parity',
    'tools/test_clusters',
    'tools/test_darken',
    'tools/test_dataset_converters',
    'tools/test_eval_tools',
    'tools/test_make_demo_faces',
    'tools/test_quickstart',
    'tools/test_shrink',
)
"""Below ``tests/``: what has hardly anything of mmengine and mmdet in it, or says with one family what it would with
the other, and takes long."""

init_default_scope('mmdet')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark :data:`ONE_FAMILY`."""
    for item in items:
        if item.nodeid.startswith(tuple(f'tests/{place}' for place in ONE_FAMILY)):
            item.add_marker('one_family')


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
