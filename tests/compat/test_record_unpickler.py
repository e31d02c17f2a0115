"""The unpickler for torch before 2.6, given handwritten pickles; test_checkpoints.py gives it all that torch writes."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest
import torch

from mmdark.compat import checkpoint_records, checkpoints, read_checkpoint, record_unpickler
from mmdark.errors import InputError

CLASS = b'\x80\x02cmmengine.optim.scheduler.param_scheduler\nOneCycleParamScheduler\n'
HANDWRITTEN = {
    'an attribute of a class': CLASS + b'N}U\x06curvesU\x08__init__\x85s\x86b.',
    'a call of what was built': b'\x80\x02})R.',
    'an instance by name': b'(S"true"\nios\nsystem\n.',
    'an object of a class': b'(cos\nsystem\nS"true"\no.',
    'a name below a name': b'\x80\x04\x8c\x05torch\x8c\x0cSize.__new__\x93.',
    'another codec': b'\x80\x02c_codecs\nencode\nU\x01aU\x03hex\x86R.',
    'an unlisted class': b'\x80\x02cpathlib\nPosixPath\n)\x81.',
    'a class that may only be called': b'\x80\x02ccollections\nCounter\n)\x81.',
}


@pytest.mark.parametrize('kind', HANDWRITTEN)
def test_handwritten_pickles_are_refused(kind: str) -> None:
    curves = checkpoint_records._OneCycleRecord.curves
    with pytest.raises(pickle.UnpicklingError, match='Unsupported global'):
        record_unpickler.load(io.BytesIO(HANDWRITTEN[kind]), encoding='utf-8')
    assert checkpoint_records._OneCycleRecord.curves == curves == ('_annealing_cos', '_annealing_linear')


def test_the_stock_unpickler_would_have_taken_the_attribute() -> None:
    """Otherwise the first of them proves nothing."""

    class Stock(pickle._Unpickler):
        def find_class(self, module: str, name: str) -> type:
            return Victim

    class Victim:
        curves = ()

    Stock(io.BytesIO(HANDWRITTEN['an attribute of a class'])).load()
    assert Victim.curves == ('__init__',)


def test_a_script_is_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, 'TAKES_RECORDS', False)
    torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1, 1)).save(str(tmp_path / 'a.pth'))
    with pytest.raises(InputError, match=r'cannot be read as a checkpoint \(UnpicklingError: a TorchScript archive'):
        read_checkpoint(tmp_path / 'a.pth')


def test_a_quick_look_leaves_tensors_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, 'TAKES_RECORDS', False)
    torch.save({'a': torch.arange(3)}, tmp_path / 'a.pth')
    assert read_checkpoint(tmp_path / 'a.pth', mmap=True)['a'].tolist() == [0, 1, 2]
