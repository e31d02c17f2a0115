"""Harmless stand-ins (records) for the objects in a Runner checkpoint that are not tensors or plain types.

Cause: mmengine checkpoints contain pickled log history (``HistoryBuffer`` and, by ``getattr``, its methods), numpy
values, and the annealing function of a one-cycle schedule (by ``getattr``). numpy's unpickling and ``getattr`` are both
unsafe on an untrusted file. A record holds only plain values; ``restore`` builds the real objects from the records.
``plain`` converts objects to plain types, which load without this module. End: when mmengine writes checkpoints of
plain types.
"""

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import PurePath
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleParamScheduler

from mmdark.file_limits import DEPTH, BeyondLimits

HISTORY = ('log_history', 'count_history', 'max_length')
"""The keys of the dict that stands for a ``HistoryBuffer`` in a plain checkpoint."""

VERSIONS = '_metadata'
"""Attribute of a state dict in which torch stores the versions of its modules."""

SHARED = 'its values share their parts too often'
_PLAIN_DTYPE = re.compile(r'[<>|=]?[biufcSU]\d+')


class _DtypeRecord:
    """Record of a ``numpy.dtype``: numbers, booleans or strings; object and structured dtypes are rejected."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not _PLAIN_DTYPE.fullmatch(code):
            raise UnpicklingError(f'Unsupported global: GLOBAL numpy.dtype({code!r:.40})')
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        byte_order = state[1]
        if byte_order not in ('<', '>', '|', '='):
            raise UnpicklingError('an unknown byte order of numpy')
        self.dtype = self.dtype.newbyteorder(byte_order)


class _ArrayRecord:
    """Record of a ``numpy.ndarray``, built from its raw bytes without numpy's unpickling."""

    array = np.zeros(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, _DtypeRecord):
            raise UnpicklingError('a numpy array without a dtype')
        order = 'F' if is_fortran else 'C'
        shape = tuple(int(side) for side in shape)
        self.array = np.frombuffer(_to_bytes(data), dtype.dtype).reshape(shape, order=order).copy(order)


class _HistoryRecord:
    """Record of a ``HistoryBuffer``: its values, without its pickled methods."""

    state: dict[str, Any] | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = {name: state[name] for name in ('_log_history', '_count_history', 'max_length')}

    def arrays(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Values, counts and ``max_length``."""
        if self.state is None:
            raise UnpicklingError('a log history without its numbers')
        log, count = (self.state[name].array for name in ('_log_history', '_count_history'))
        return log, count, int(self.state['max_length'])


def _to_bytes(data: Any) -> bytes:
    return data if isinstance(data, bytes) else data.encode('latin1')


def _empty_bytes() -> bytes:
    return b''


def _array_record(*args: Any) -> _ArrayRecord:
    return _ArrayRecord()


def _scalar(dtype: _DtypeRecord, data: Any) -> np.generic:
    return np.frombuffer(_to_bytes(data), dtype.dtype)[0]


class _OneCycleRecord:
    """Record of ``OneCycleParamScheduler``; its state refers to one of these two static methods."""

    curves = ('_annealing_cos', '_annealing_linear')


def _method(owner: Any, name: str) -> Callable | None:
    """Restricted ``getattr``: None for methods of a log history, and the annealing functions of a schedule."""
    if owner is _HistoryRecord:
        return None
    if owner is _OneCycleRecord and name in _OneCycleRecord.curves:
        return getattr(OneCycleParamScheduler, name)
    raise UnpicklingError('Unsupported global: GLOBAL builtins.getattr')


RECORDS: dict[str, Callable] = {
    'mmengine.logging.history_buffer.HistoryBuffer': _HistoryRecord,
    'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler': _OneCycleRecord,
    'builtins.getattr': _method,
    'builtins.bytes': _empty_bytes,
    'numpy.ndarray': _ArrayRecord,
    'numpy.dtype': _DtypeRecord,
    **{f'numpy.{core}.multiarray._reconstruct': _array_record for core in ('_core', 'core')},
    **{f'numpy.{core}.multiarray.scalar': _scalar for core in ('_core', 'core')},
}
"""Full name in the pickle → its replacement."""
STATEFUL = (_HistoryRecord, _ArrayRecord, _DtypeRecord)
"""The records whose ``__setstate__`` may be called."""


def restore(value: Any, most: float = math.inf) -> Any:
    """Replace the records in ``value`` by the real objects; dicts and lists are modified in place.

    Extra attributes of tensors and dicts are removed because they could shadow a method; a state dict keeps its
    versions.

    Args:
        value: the unpickled content.
        most: maximum number of values and bytes; a shared object counts once per reference.

    Raises:
        BeyondLimits: ``value`` is larger, nested deeper than :data:`DEPTH` levels, or contains itself.
    """
    restored, size = _Restoring(most)(value)
    if size > most:
        raise BeyondLimits(SHARED)
    return restored


class _Restoring:
    """State of one ``restore`` call; a shared container is restored only once."""

    def __init__(self, most: float) -> None:
        self.left = most
        self.done: dict[int, tuple[Any, int] | None] = {}
        self.kept: list[Any] = []

    def __call__(self, value: Any, depth: int = 0) -> tuple[Any, int]:
        """The restored value and its size."""
        if isinstance(value, str | bytes):
            return value, 1 + len(value)
        if isinstance(value, torch.Tensor):
            vars(value).clear()
            return value, 1 + value.numel() * value.element_size()
        if not isinstance(value, _ArrayRecord | _HistoryRecord | dict | list | tuple | set):
            return value, 1
        if id(value) not in self.done:
            self.done[id(value)] = None
            self.kept.append(value)  # so that its id is not reused
            self.done[id(value)] = self._restored(value, depth + 1)
        done = self.done[id(value)]
        if done is None:
            raise BeyondLimits(f'it holds a {type(value).__name__} that contains itself')
        return done

    def _restored(self, value: Any, depth: int) -> tuple[Any, int]:
        if depth > DEPTH:
            raise BeyondLimits(f'it nests more than {DEPTH} levels')
        if isinstance(value, _ArrayRecord):
            return value.array, 1 + value.array.nbytes
        if isinstance(value, _HistoryRecord):
            return self._history(*value.arrays())
        if isinstance(value, dict) and value.keys() == set(HISTORY):
            log, count = (value[name].cpu().numpy() for name in HISTORY[:2])
            return self._history(log, count, int(value['max_length']))
        if isinstance(value, dict):
            return value, self._dict(value, depth)
        restored, sizes = zip(*(self(item, depth) for item in value), strict=True) if value else ((), ())
        size = 1 + sum(sizes)
        if isinstance(value, list):
            value[:] = restored
        return (restored if type(value) is tuple else value), size

    def _history(self, log: np.ndarray, count: np.ndarray, max_length: int) -> tuple[HistoryBuffer, int]:
        """A new ``HistoryBuffer``, which copies the arrays, and its size."""
        size = 1 + log.nbytes + count.nbytes
        self.left -= size
        if self.left < 0:
            raise BeyondLimits(SHARED)
        return HistoryBuffer(log, count, max_length), size

    def _dict(self, value: dict, depth: int) -> int:
        """Restore the items of a dict in place and return its size."""
        size = 1
        for key, item in value.items():
            value[key], of_item = self(item, depth)
            size += of_item + self(key, depth)[1]
        for name in [name for name in getattr(value, '__dict__', ()) if name != VERSIONS]:
            delattr(value, name)
        versions = getattr(value, VERSIONS, {})
        if not isinstance(versions, dict) or not all(isinstance(version, dict) for version in versions.values()):
            delattr(value, VERSIONS)
        return size


def plain(value: Any, left_out: list[str], where: str = '') -> Any:
    """A copy of ``value`` that ``torch.load(..., weights_only=True)`` reads without mmdark or mmengine.

    Log history and arrays become tensors, numpy scalars become numbers; ``restore`` rebuilds the log history.

    Args:
        value: a part of a checkpoint.
        left_out: the dotted names of skipped dict entries (functions and other objects) are appended to it.
        where: the dotted name of ``value``.

    Raises:
        TypeError: ``value`` cannot be converted to plain types.
    """
    if isinstance(value, HistoryBuffer):
        log, count = map(_tensor, value.data)
        return dict(zip(HISTORY, (log, count, value.max_length), strict=True))
    if isinstance(value, np.ndarray):
        return _tensor(value) if value.dtype.kind in 'biufc' else plain(value.tolist(), left_out, where)
    if isinstance(value, np.generic):
        return plain(value.item(), left_out, where)
    if value is None or isinstance(value, torch.Tensor | torch.Size | torch.dtype | torch.device):
        return value
    if isinstance(value, PurePath):
        return str(value)
    for kind in (bool, int, float, complex, str, bytes):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, list | tuple | set | frozenset):
        kind = next(kind for kind in (list, tuple, set, frozenset) if isinstance(value, kind))
        return (set if kind is frozenset else kind)(plain(item, left_out, where) for item in value)
    if isinstance(value, dict):
        if isinstance(value, OrderedDict) and all(isinstance(item, torch.Tensor) for item in value.values()):
            return value  # a state dict keeps its versions
        return _plain_items(value.items(), left_out, where)
    raise TypeError(f'{where} is a {type(value).__name__}')


def _plain_items(items: Iterable[tuple[Any, Any]], left_out: list[str], where: str) -> dict[Any, Any]:
    kept = {}
    for key, item in items:
        inner = f'{where}.{key}'.lstrip('.')
        try:
            kept[plain(key, left_out, inner)] = plain(item, left_out, inner)
        except TypeError:
            left_out.append(inner)
    return kept


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, array.dtype.newbyteorder('=')))
