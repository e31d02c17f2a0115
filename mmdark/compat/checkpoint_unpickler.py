"""Python's unpickler, narrowed to what checkpoints of mmengine need; torch takes this module as its ``pickle_module``.

Cause: ``torch.load(weights_only=True)`` cannot stand in records for the log history in mmengine's checkpoints before
torch 2.6, and limits neither memory nor time in any version: a pickle of 1 kB can hold 2 ** 40 tuples that share their
parts. Here a name stands for what :data:`ALLOWED` says, only that may be called, only records and state dicts take a
state, and all that is built is counted. End: when torch limits what a pickle may cost, and mmdark needs torch 2.6.
"""

from __future__ import annotations

import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from pickle import UnpicklingError
from types import SimpleNamespace
from typing import IO, Any

import torch

from mmdark.compat.checkpoint_limits import Limits
from mmdark.compat.checkpoint_records import RECORDS, SHARED, STATEFUL
from mmdark.file_limits import BeyondLimits

MOST_READS = 6_000_000
"""Maximum reads from a pickle, about two per opcode; a large detector with optimizer needs a tenth of this."""
_REBUILD = ('_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_tensor_v3')
_ATOMS = (str, int, float, bytes, type(None))


def _refused(name: str) -> UnpicklingError:
    return UnpicklingError(f'Unsupported global: GLOBAL {name}')


def _encode(text: str, encoding: str) -> bytes:
    """``_codecs.encode`` as pickle writes bytes with it."""
    if encoding != 'latin1':
        raise _refused('_codecs.encode')
    return text.encode(encoding)


def _key(value: Any) -> Any:
    """Return ``value`` if hashing it is cheap; otherwise raise an error."""
    short = isinstance(value, tuple) and len(value) < 10 and all(isinstance(item, _ATOMS) for item in value)
    if not short and not isinstance(value, _ATOMS):
        raise UnpicklingError(f'a {type(value).__name__} is the key of a dict')
    return value


def _ordered_dict(pairs: Iterable[tuple[Any, Any]] = ()) -> OrderedDict:
    return OrderedDict((_key(key), value) for key, value in pairs)


def _set(items: Iterable[Any] = ()) -> set:
    return set(map(_key, items))


def _from_dict(kind: type) -> Callable[..., dict]:
    def build(items: dict | None = None) -> dict:
        if not isinstance(items, dict | None):
            raise UnpicklingError(f'a {kind.__name__} of a {type(items).__name__}')
        return kind(items or {})

    return build


def _parameter(data: torch.Tensor, requires_grad: bool, hooks: Any, state: Any = None) -> torch.nn.Parameter:
    return torch.nn.Parameter(data, requires_grad)


_TENSORS = {
    **{f'torch._utils.{name}': value for name, value in vars(torch._utils).items() if name in _REBUILD},
    'torch._utils._rebuild_parameter': _parameter,
    'torch._utils._rebuild_parameter_with_state': _parameter,
}


def _without_attributes(function: Callable, kind: Any, arguments: tuple, state: Any) -> torch.Tensor:
    """``torch._tensor._rebuild_from_type_v2``: rebuild a tensor without its attributes, which nothing reads."""
    if not any(function is known for known in _TENSORS.values()):
        raise _refused('torch._tensor._rebuild_from_type_v2')
    return function(*arguments)


ALLOWED: dict[str, Any] = {
    '_codecs.encode': _encode,
    'builtins.complex': complex,
    'builtins.set': _set,
    'collections.Counter': _from_dict(Counter),
    'collections.OrderedDict': _ordered_dict,
    'mmengine.config.config.ConfigDict': _from_dict(dict),
    'torch.Size': torch.Size,
    'torch._tensor._rebuild_from_type_v2': _without_attributes,
    'torch.device': torch.device,
    'torch.serialization._get_layout': torch.serialization._get_layout,
    **_TENSORS,
    **RECORDS,
}
"""Full name → the function or record that it stands for; none takes more memory than its arguments."""
_VALUES = {
    'torch.Tensor': torch.Tensor,
    'torch.nn.parameter.Parameter': torch.nn.Parameter,
    **{f'torch.{name}': value for name, value in vars(torch).items() if isinstance(value, torch.dtype)},
}
"""Names that are allowed as arguments but may not be called."""
_OPCODES = (
    'NONE', 'NEWTRUE', 'NEWFALSE', 'BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE', 'SHORT_BINSTRING',
    'EMPTY_TUPLE', 'EMPTY_LIST', 'EMPTY_DICT', 'EMPTY_SET', 'APPEND', 'APPENDS', 'MARK', 'BINGET', 'LONG_BINGET',
    'BINPUT', 'LONG_BINPUT', 'GLOBAL', 'PROTO', 'STOP',
)  # fmt: skip
"""Opcodes that are handled by Python's unpickler."""


class Unpickler(pickle._Unpickler):
    """Builds tensors, plain types and records; other names, calls and states are rejected.

    Args:
        file: the pickle.
        limits: limits on its content.
        encoding: encoding of byte strings.
    """

    def __init__(self, file: IO[bytes], *, limits: Limits, encoding: str = 'utf-8') -> None:
        super().__init__(SimpleNamespace(read=self._read, readline=file.readline), encoding=encoding)
        self.file, self.limits = file, limits
        self.reads, self.left, self.numbers = MOST_READS, limits.most, limits.size
        self.tuples: dict[int, tuple[tuple, int]] = {}
        self.storages: set[str] = set()

    def _read(self, count: int) -> bytes:
        self.reads -= 1
        if self.reads < 0:
            raise BeyondLimits(f'its pickle has more than {MOST_READS // 2} steps')
        if count > self.limits.size:
            raise EOFError('a text longer than the file')
        return self.file.read(count)

    def find_class(self, module: str, name: str) -> Any:
        """Return the object for a name; names of protocol 2, such as ``__builtin__ eval``, are translated first."""
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        full = f'{module}.{name}'
        if full not in ALLOWED and full not in _VALUES:
            raise _refused(full)
        return ALLOWED.get(full, _VALUES.get(full))

    def _size(self, value: Any) -> int:
        """The number of values and bytes of ``value``, including the content of tuples."""
        if type(value) is tuple:
            return self.tuples[id(value)][1] if value else 1
        return len(value) if isinstance(value, str | bytes | list | dict | set) else 1

    def _spend(self, *values: Any) -> None:
        self.left -= sum(map(self._size, values))
        if self.left < 0:
            raise BeyondLimits(SHARED)

    def _push_tuple(self, items: list[Any]) -> None:
        size = 1 + sum(map(self._size, items))
        if size > self.limits.most:
            raise BeyondLimits(SHARED)
        value = tuple(items)
        self.tuples[id(value)] = value, size
        self.append(value)

    def load_tuple(self) -> None:
        """Build a tuple of the items since the mark."""
        self._push_tuple(self.pop_mark())

    def _load_short_tuple(self, count: int) -> None:
        items = self.stack[-count:]
        del self.stack[-count:]
        self._push_tuple(items)

    def load_setitems(self) -> None:
        """Add items to a dict."""
        items = self.pop_mark()
        self.stack[-1].update(zip(map(_key, items[::2]), items[1::2], strict=True))

    def load_setitem(self) -> None:
        """Add an item to a dict."""
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][_key(key)] = value

    def load_reduce(self) -> None:
        """Call an allowed function or record class, never an object that the pickle has built."""
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not any(function is known for known in ALLOWED.values()):
            raise _refused(getattr(function, '__name__', type(function).__name__))
        self._spend(*arguments)
        self.stack[-1] = function(*arguments)

    load_newobj = load_reduce

    def load_build(self) -> None:
        """Set the state of a record or of a state dict."""
        state = self.stack.pop()
        instance = self.stack[-1]
        self._spend(*(state.values() if isinstance(state, dict) else state))
        if type(instance) in STATEFUL:
            instance.__setstate__(state)
        elif type(instance) is OrderedDict and isinstance(state, dict):
            vars(instance).update(state)
        else:
            raise _refused(type(instance).__name__)

    def load_binpersid(self) -> None:
        """Check and count the storage of a tensor, then let torch read it."""
        saved_id = self.stack.pop()
        match saved_id:
            case ('storage', _, str(key), str(), int(count), *_) if count >= 0:
                self.numbers -= count if key not in self.storages else 0
                self.storages.add(key)
            case _:
                raise UnpicklingError('memory of a tensor without its size')
        self._spend(*saved_id)
        if self.numbers < 0:
            raise BeyondLimits('its tensors state more numbers than the file has bytes')
        self.append(self.persistent_load(saved_id))

    def refuse(self) -> None:
        """Reject all other opcodes, which checkpoints do not need."""
        raise _refused('by an opcode that weights do not need')

    dispatch = {  # noqa: RUF012 as in the base class
        **dict.fromkeys(pickle._Unpickler.dispatch, refuse),
        **{getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]] for name in _OPCODES},
        pickle.TUPLE[0]: load_tuple,
        pickle.TUPLE1[0]: lambda self: self._load_short_tuple(1),
        pickle.TUPLE2[0]: lambda self: self._load_short_tuple(2),
        pickle.TUPLE3[0]: lambda self: self._load_short_tuple(3),
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_reduce,
        pickle.BUILD[0]: load_build,
        pickle.BINPERSID[0]: load_binpersid,
    }


def load(file: IO[bytes], **options: Any) -> Any:
    """As :func:`pickle.load`."""
    return Unpickler(file, **options).load()
