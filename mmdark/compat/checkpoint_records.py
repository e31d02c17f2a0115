"""What a Runner checkpoint holds besides tensors and plain types, read as inert records.

Cause: mmengine pickles its log history (``HistoryBuffer``, its methods by ``getattr``), numpy values and the one-cycle
schedule's curve (by ``getattr``) into its checkpoints, and neither numpy's own unpickling nor a ``getattr`` is safe on
an untrusted file. Here each such global stands for a record that only keeps plain values; ``restore`` builds the real
objects from the checked values. ``plain`` goes the other way: what it returns loads without any of this. End: when
mmengine writes checkpoints of plain types.
"""

import math
import re
from collections import Counter, OrderedDict
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
"""The attribute in which torch keeps the versions of a state dict's modules."""

_PLAIN_DTYPE = re.compile(r'[<>|=]?[biufcSU]\d+')


class _DtypeRecord:
    """``numpy.dtype``: a plain number, truth value or string; no objects, no fields."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(code, str) or not _PLAIN_DTYPE.fullmatch(code):
            raise UnpicklingError(f'Unsupported global: GLOBAL numpy.dtype({code!r:.40})')
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        byte_order = state[1]
        if byte_order not in ('<', '>', '|', '='):
            raise UnpicklingError(f'numpy byte order {byte_order!r:.40}')
        self.dtype = self.dtype.newbyteorder(byte_order)


class _ArrayRecord:
    """``numpy.ndarray``: built from its raw bytes, never by numpy's own unpickling."""

    array = np.zeros(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, _DtypeRecord):
            raise UnpicklingError('a numpy array without a dtype')
        order = 'F' if is_fortran else 'C'
        self.array = np.frombuffer(_to_bytes(data), dtype.dtype).reshape(shape, order=order).copy(order)


class _HistoryRecord:
    """``HistoryBuffer``: the numbers only, not the methods the file names."""

    state: dict[str, Any] | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = {name: state[name] for name in ('_log_history', '_count_history', 'max_length')}

    def restore(self) -> HistoryBuffer:
        """The history buffer, with mmengine's own statistics methods."""
        if self.state is None:
            raise UnpicklingError('a log history without its numbers')
        log, count = (record.array for record in (self.state['_log_history'], self.state['_count_history']))
        return HistoryBuffer(log, count, int(self.state['max_length']))


def _to_bytes(data: Any) -> bytes:
    return data if isinstance(data, bytes) else str(data).encode('latin1')


def _empty_bytes() -> bytes:
    return b''


def _array_record(*args: Any) -> _ArrayRecord:
    return _ArrayRecord()


def _scalar(dtype: _DtypeRecord, data: Any) -> np.generic:
    return np.frombuffer(_to_bytes(data), dtype.dtype)[0]


class _OneCycleRecord:
    """``OneCycleParamScheduler``, whose state holds one of its two static methods."""

    curves = ('_annealing_cos', '_annealing_linear')


def _method(owner: Any, name: str) -> Callable | None:
    """``getattr``, for which a checkpoint has two honest uses; a log history's methods are mmengine's own anyway."""
    if owner is _HistoryRecord:
        return None
    if owner is _OneCycleRecord and name in _OneCycleRecord.curves:
        return getattr(OneCycleParamScheduler, name)
    raise UnpicklingError('Unsupported global: GLOBAL builtins.getattr')


RECORDS: list[tuple[Callable, str]] = [
    (_HistoryRecord, 'mmengine.logging.history_buffer.HistoryBuffer'),
    (_OneCycleRecord, 'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler'),
    (_method, 'builtins.getattr'),
    (_empty_bytes, 'builtins.bytes'),
    (dict, 'mmengine.config.config.ConfigDict'),
    (_ArrayRecord, 'numpy.ndarray'),
    (_DtypeRecord, 'numpy.dtype'),
    *((_array_record, f'numpy.{core}.multiarray._reconstruct') for core in ('_core', 'core')),
    *((_scalar, f'numpy.{core}.multiarray.scalar') for core in ('_core', 'core')),
]
"""What each allowed global of a checkpoint stands for, as ``torch.serialization.safe_globals`` takes it."""
STATEFUL = (_HistoryRecord, _ArrayRecord, _DtypeRecord)
"""The records that take a state."""


def restore(value: Any, most: float = math.inf) -> Any:
    """The real objects in place of the records, in containers that nest :data:`DEPTH` levels at most.

    What the file has set as an attribute of a tensor or a dict is taken away, but for the versions of a state dict: it
    would hide a method of this name.

    Args:
        value: what was unpickled; dicts and lists are changed in place.
        most: values and bytes that it may have if each of its shared parts is counted wherever it stands.

    Returns:
        ``value``, or what it stands for.

    Raises:
        BeyondLimits: it has more, nests deeper, or a container holds itself.
    """
    restored, size = _Restoring()(value)
    if size > most:
        raise BeyondLimits('its values share their parts too often')
    return restored


class _Restoring:
    """``restore`` of one checkpoint: each container once, however often it is shared."""

    def __init__(self) -> None:
        self.done: dict[int, tuple[Any, int] | None] = {}
        self.kept: list[Any] = []

    def __call__(self, value: Any, depth: int = 0) -> tuple[Any, int]:
        """What ``value`` stands for, and its size."""
        if isinstance(value, str | bytes):
            return value, 1 + len(value)
        if isinstance(value, torch.Tensor):
            vars(value).clear()
            return value, 1 + value.numel() * value.element_size()
        if not isinstance(value, _ArrayRecord | _HistoryRecord | dict | list | tuple | set):
            return value, 1
        if id(value) not in self.done:
            self.done[id(value)] = None
            self.kept.append(value)  # so that no other object gets its id
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
            history = value.restore()
            return history, 1 + sum(array.nbytes for array in history.data)
        if isinstance(value, dict) and value.keys() == set(HISTORY):
            log, count = (value[name].cpu().numpy() for name in HISTORY[:2])
            return HistoryBuffer(log, count, int(value['max_length'])), 1 + log.nbytes + count.nbytes
        if isinstance(value, dict):
            return value, self._dict(value, depth)
        restored, sizes = zip(*(self(item, depth) for item in value), strict=True) if value else ((), ())
        size = 1 + sum(sizes)
        if isinstance(value, list):
            value[:] = restored
        return (restored if type(value) is tuple else value), size

    def _dict(self, value: dict, depth: int) -> int:
        """Restore the items of a dict in place; its size."""
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

    Log history and arrays become tensors, numpy scalars numbers; ``restore`` brings the log history back. An entry of a
    dict that holds anything else (a function, an object) is left out.

    Args:
        value: a part of a checkpoint.
        left_out: gets the dotted names of the entries that were left out.
        where: the dotted name of ``value``.

    Raises:
        TypeError: ``value`` is neither plain nor a dict.
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
            return value  # a state dict, with its versions
        kept = _plain_items(value.items(), left_out, where)
        return Counter(kept) if isinstance(value, Counter) else kept
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
