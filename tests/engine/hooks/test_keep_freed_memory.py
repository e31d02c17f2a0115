"""Large blocks that were freed are used again: the kernel counts the pages that it had to bring."""

import platform
import resource
import sys
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmdark.apis import load_config
from mmdark.engine.hooks import KeepFreedMemory, keep_freed_memory
from tests.tiny_wider import ROOT
from tests.two_processes import fork_server


def count_faults(kept: bool, count: Synchronized) -> None:
    """Pages that the kernel brings for fifty large tensors, one after the other."""
    assert not kept or keep_freed_memory()
    torch.set_num_threads(1)
    torch.ones(1 << 24)  # 64 MiB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        torch.ones(1 << 24)
    count.value = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='the C library is not glibc')
def test_pages_are_brought_once() -> None:
    """Now and then a small block takes a piece of the freed one, which is then too short: up to six times in fifty."""
    found = {}
    for kept in (False, True):
        count = fork_server().Value('q', -1)
        process = fork_server().Process(target=count_faults, args=(kept, count))
        process.start()
        process.join()
        assert process.exitcode == 0
        found[kept] = count.value
    assert found[True] < found[False] / 4, found


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('ctypes.CDLL', lambda name: object())
    assert not keep_freed_memory()


@pytest.mark.parametrize(('device', 'times'), [('cpu', 1), ('meta', 0)])
def test_only_where_the_cpu_computes(device: str, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    monkeypatch.setattr(
        sys.modules['mmdark.engine.hooks.keep_freed_memory'], 'keep_freed_memory', lambda: calls.append(None)
    )
    KeepFreedMemory().before_run(SimpleNamespace(model=nn.Linear(1, 1, device=device)))
    assert len(calls) == times


def test_every_training_does_it() -> None:
    for name in ('dsfd_dark_wider', 'retinex/retinexnet_wider', 'dsfd/dsfd_vgg16_wider'):
        cfg = load_config(str(Path(ROOT, 'configs', f'{name}.py')))
        assert cfg.default_hooks.keep_freed_memory.type == 'KeepFreedMemory'
