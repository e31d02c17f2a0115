"""The unpickler of checkpoints, given handwritten pickles; test_checkpoints.py gives it all that torch writes."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest
import torch

from mmdark.compat import checkpoint_records, checkpoint_unpickler, read_checkpoint
from mmdark.compat.checkpoint_limits import Limits
from mmdark.errors import InputError
from mmdark.file_limits import BeyondLimits

LIMITS = Limits(size=10_000, most=1_000_000)
CLASS = b'\x80\x02cmmengine.optim.scheduler.param_scheduler\nOneCycleParamScheduler\n'
HANDWRITTEN = {
    'an attribute of a class': CLASS + b'N}U\x06curvesU\x08__init__\x85s\x86b.',
    'a call of what was built': b'\x80\x02})R.',
    'an instance by name': b'(S"true"\nios\nsystem\n.',
    'an object of a class': b'(cos\nsystem\nS"true"\no.',
    'a name below a name': b'\x80\x04\x8c\x05torch\x8c\x0cSize.__new__\x93.',
    'another codec': b'\x80\x02c_codecs\nencode\nU\x01aU\x03hex\x86R.',
    'an unlisted class': b'\x80\x02cpathlib\nPosixPath\n)\x81.',
    'a state for a counter': b'\x80\x02ccollections\nCounter\n)\x81}U\x04keysK\x01sb.',
    'a tensor by its size': b'\x80\x02ctorch\nTensor\n\x8a\x05\x00\xe4\x0bT\x02\x85R.',
    'the same through another call': b'\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n'
    b'(ctorch\nTensor\nctorch\nTensor\n\x8a\x05\x00\xe4\x0bT\x02\x85}tR.',
}


@pytest.mark.parametrize('kind', HANDWRITTEN)
def test_handwritten_pickles_are_refused(kind: str) -> None:
    curves = checkpoint_records._OneCycleRecord.curves
    with pytest.raises(pickle.UnpicklingError, match='Unsupported global'):
        checkpoint_unpickler.load(io.BytesIO(HANDWRITTEN[kind]), limits=LIMITS)
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


def nested(levels: int, step: bytes) -> bytes:
    """A pickle in which each value holds the one before twice."""
    return b'\x80\x02)' + b''.join(b'q\x00h\x00' + step for _ in range(levels)) + b'.'


COSTLY = {
    'shared tuples': nested(60, b'\x86'),
    'a shared tuple as a key': nested(60, b'\x86')[:-1] + b'q\x00}h\x00K\x01s.',
    'a text copied often': b'\x80\x02X\x10\x27\x00\x00' + b'a' * 10_000 + b'q\x00'
    + b'c_codecs\nencode\nh\x00U\x06latin1\x86R' * 200 + b'.',
    'more numbers than bytes': b'\x80\x02(U\x07storageNU\x010U\x03cpuJ\x00\x00\x00\x10tQ.',
}  # fmt: skip


@pytest.mark.parametrize('kind', COSTLY)
def test_what_takes_too_much_is_refused(kind: str) -> None:
    with pytest.raises(BeyondLimits, match=r'share their parts too often|more numbers than the file has bytes'):
        checkpoint_unpickler.load(io.BytesIO(COSTLY[kind]), limits=LIMITS)


def test_a_text_longer_than_the_file_takes_no_memory() -> None:
    class Counted(io.BytesIO):
        def read(self, count: int = -1) -> bytes:
            assert count <= LIMITS.size
            return super().read(count)

    with pytest.raises(EOFError):
        checkpoint_unpickler.load(Counted(b'\x80\x02X\xff\xff\xff\xffabc.'), limits=LIMITS)


def test_a_script_is_no_checkpoint(tmp_path: Path) -> None:
    torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1, 1)).save(str(tmp_path / 'a.pth'))
    with pytest.raises(InputError, match=r'cannot be read as a checkpoint \(UnpicklingError: a TorchScript archive'):
        read_checkpoint(tmp_path / 'a.pth')


def test_a_quick_look_leaves_tensors_in_the_file(tmp_path: Path) -> None:
    torch.save({'a': torch.arange(3)}, tmp_path / 'a.pth')
    assert read_checkpoint(tmp_path / 'a.pth', mmap=True)['a'].tolist() == [0, 1, 2]


def test_tensors_with_attributes_come_back_without_them(tmp_path: Path) -> None:
    weight, parameter = torch.arange(3.0), torch.nn.Parameter(torch.ones(2))
    weight.note = parameter.note = 'x'
    torch.save({'a': weight, 'b': parameter}, tmp_path / 'a.pth')
    loaded = read_checkpoint(tmp_path / 'a.pth')
    assert loaded['a'].tolist() == [0, 1, 2] and isinstance(loaded['b'], torch.nn.Parameter)
    assert not vars(loaded['a']) and not vars(loaded['b'])
