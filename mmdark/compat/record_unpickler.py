"""torch before 2.6 has no ``safe_globals`` that lets a name in a checkpoint stand for a record.

Cause: its unpickler for weights builds tensors and plain types only, so it refuses the log history in every checkpoint
of mmengine. Here Python's own unpickler is narrowed to the rules of torch 2.6: a name stands for what a list says, only
that may be called, and only records and tensors take a state. torch takes this module as its ``pickle_module``. End:
when mmdark needs torch 2.6.
"""

from __future__ import annotations

import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, OrderedDict
from functools import cache
from typing import IO, Any, ClassVar

import torch
from torch import _weights_only_unpickler

from mmdark.compat.checkpoint_records import RECORDS, STATEFUL


def _encode(text: str, encoding: str) -> bytes:
    """``_codecs.encode`` as pickle writes bytes with it."""
    if encoding != 'latin1':
        raise _refused('_codecs.encode')
    return text.encode(encoding)


def _refused(name: object) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(f'Unsupported global: GLOBAL {name}')


PLAIN = {
    '_codecs.encode': _encode,
    'builtins.bytearray': bytearray,
    'builtins.complex': complex,
    'builtins.set': set,
    'collections.Counter': Counter,
    'torch.device': torch.device,
}
"""What torch 2.6 allows, and older ones do not."""


@cache
def _allowed() -> dict[str, Any]:
    """Full name → what it stands for."""
    return {**_weights_only_unpickler._get_allowed_globals(), **PLAIN, **{name: record for record, name in RECORDS}}


class Unpickler(pickle._Unpickler):
    """Builds tensors, plain types and records; any other name, call or state is refused."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for."""
        if self.proto < 3:
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        full = f'{module}.{name}'
        if full not in _allowed():
            raise _refused(full)
        return _allowed()[full]

    def load_reduce(self) -> None:
        """Call what a name stands for, and nothing that was built."""
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not any(function is known for known in _allowed().values()):
            raise _refused(function)
        self.stack[-1] = function(*arguments)

    def load_newobj(self) -> None:
        """Make a record or a parameter."""
        arguments = self.stack.pop()
        kind = self.stack[-1]
        if not any(kind is known for known in (*STATEFUL, dict, OrderedDict, torch.nn.Parameter)):
            raise _refused(kind)
        self.stack[-1] = kind.__new__(kind, *arguments)

    def load_build(self) -> None:
        """Give a record, a tensor or a state dict its state."""
        state = self.stack.pop()
        instance = self.stack[-1]
        if type(instance) in STATEFUL or type(instance) is torch.nn.Parameter:
            instance.__setstate__(state)
        elif type(instance) is torch.Tensor:
            instance.set_(*state)
        elif type(instance) is OrderedDict:
            instance.__dict__.update(state)
        else:
            raise _refused(type(instance))

    def refuse(self) -> None:
        """Other ways to call something or to make an object, which no checkpoint needs."""
        raise _refused('by an opcode that weights do not need')

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.BUILD[0]] = load_build
    for _code in (pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4):
        dispatch[_code[0]] = refuse


def load(file: IO[bytes], **options: Any) -> Any:
    """As :func:`pickle.load`."""
    return Unpickler(file, **options).load()
