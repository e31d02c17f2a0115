"""What a checkpoint may cost, checked before it is read: a small file can stand for any time and any memory.

torch's reader for weights runs no code, but it calls what allocates (``torch.FloatTensor(10**10)``), hashes tuples that
share their parts (2 ** 40 of them in 1 kB), and unpacks what was deflated. Here a pickle is run through, nothing is
built, and what it would take is counted. End: when torch limits these.
"""

from __future__ import annotations

import io
import mmap
import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

from mmdark.compat.checkpoint_records import RECORDS
from mmdark.file_limits import BeyondLimits, check_inflation, most_bytes, read_entry

RATIO = 20
"""Content may take so many times the bytes of a checkpoint: weights are not packed, but some share their memory."""
MOST_STEPS = 3_000_000
"""Steps of a pickle; a checkpoint of a large detector with its optimizer has a tenth."""
MOST_KEYS = 100_000
"""Tensors in a file of safetensors."""
LONGEST_HEADER = 16 << 20
"""Bytes in which a file of safetensors names its tensors."""

_WITH_FUNCTION = 'torch._tensor._rebuild_from_type_v2'
_CALLED = {
    '_codecs.encode',
    'builtins.complex',
    'builtins.set',
    'collections.Counter',
    'collections.OrderedDict',
    'torch.Size',
    'torch._utils._rebuild_parameter',
    'torch._utils._rebuild_parameter_with_state',
    'torch._utils._rebuild_tensor',
    'torch._utils._rebuild_tensor_v2',
    'torch._utils._rebuild_tensor_v3',
    'torch.device',
    'torch.nn.parameter.Parameter',
    'torch.serialization._get_layout',
    *(name for _, name in RECORDS),
}
"""What a pickle of weights calls; none of them takes more memory than its arguments."""
_PLAIN = {
    'NONE', 'NEWTRUE', 'NEWFALSE', 'BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE', 'SHORT_BINSTRING',
    'EMPTY_TUPLE', 'EMPTY_LIST', 'EMPTY_DICT', 'EMPTY_SET',
}  # fmt: skip
_ZIP = b'PK\x03\x04'
_LEGACY_PICKLES = 5
"""In the format before torch 1.6: a number, a version, the machine, the content, the names of the tensors' memory."""
_WHOLE: set[tuple[int, ...]] = set()
"""Files whose checksums were compared, as :func:`_state_of` tells them."""
_TUPLES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}


@dataclass(slots=True)
class _Value:
    """What lies on a pickle's stack: values and bytes if all were written out, items of a tuple, a plain content."""

    size: int = 1
    items: tuple[_Value, ...] = ()
    content: Any = None


@contextmanager
def _opened(file: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """A file for reading; a stream stands where it stood afterwards."""
    if isinstance(file, Path):
        with file.open('rb') as opened:
            yield opened
        return
    place = file.tell()
    yield file
    file.seek(place)


def is_zip(file: Path | IO[bytes]) -> bool:
    """Whether torch takes a checkpoint for a zip; otherwise for its format before 1.6."""
    with _opened(file) as opened:
        return opened.read(len(_ZIP)) == _ZIP


def check_checkpoint(file: Path | IO[bytes], whole: bool = True, remember: bool = False) -> int:
    """See that reading a checkpoint will take no more memory and time than its size lets expect, and that it is whole.

    Args:
        file: a checkpoint as torch writes it.
        whole: compare the checksums of a zip with its content; the format before 1.6 has none.
        remember: do not compare them again as long as this process lives and the file stays as it is.

    Returns:
        The bytes that its content may take.

    Raises:
        BeyondLimits: it would take more.
        UnpicklingError: it calls what weights do not need.
        BadZipFile: it is damaged.
    """
    with _opened(file) as opened:
        start, size = opened.tell(), opened.seek(0, io.SEEK_END)
        opened.seek(start)
        most = most_bytes(size, RATIO)
        state = _state_of(file)
        if opened.read(len(_ZIP)) == _ZIP:
            with ZipFile(opened) as archive:
                _check_zip(archive, size, most, whole and state not in _WHOLE)
        else:
            opened.seek(start)
            # pickletools reads as many bytes as a text states; of a mapped file no more than there are
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) if isinstance(file, Path) else opened
            survey = _Survey(most, size)
            for _ in range(_LEGACY_PICKLES):
                survey.run(mapped)
    if remember and state:
        _WHOLE.add(state)
    return most


def _state_of(file: Path | IO[bytes]) -> tuple[int, ...]:
    """What changes when a file does; nothing of a stream."""
    if not isinstance(file, Path):
        return ()
    state = file.stat()
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _check_zip(archive: ZipFile, size: int, most: int, whole: bool) -> None:
    entries = archive.infolist()
    check_inflation(entries, size, RATIO)
    if any(entry.filename.endswith('/constants.pkl') for entry in entries):
        raise UnpicklingError('a TorchScript archive')
    has_checksums = any(entry.CRC for entry in entries)  # torch can be told to leave them out
    for entry in entries:
        if not has_checksums:
            del entry.CRC  # zipfile then compares none
        if entry.filename.lower().endswith('data.pkl'):
            _Survey(most, sum(entry.file_size for entry in entries)).run(io.BytesIO(read_entry(archive, entry)))
    if whole and has_checksums and (damaged := archive.testzip()):
        raise BadZipFile(f'Bad CRC-32 for file {damaged!r}')


class _Survey:
    """Runs through pickles and counts what they would take.

    Args:
        most: values and bytes that may be built, hashed or copied.
        numbers: that the file can hold in its tensors.
    """

    def __init__(self, most: int, numbers: int) -> None:
        self.most, self.numbers = most, numbers
        self.stack: list[_Value] = []
        self.marks: list[list[_Value]] = []
        self.memo: dict[int, _Value] = {}
        self.storages: set[Any] = set()

    def run(self, file: IO[bytes]) -> None:
        """Run through one, up to its end."""
        self.stack, self.marks, self.memo = [], [], {}
        for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if step > MOST_STEPS:
                raise BeyondLimits(f'its pickle has more than {MOST_STEPS} steps')
            self._step(opcode.name, argument)

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _PLAIN:
            stack.append(_Value(1 + (len(argument) if isinstance(argument, str | bytes) else 0), (), argument))
        elif name in ('BINGET', 'LONG_BINGET'):
            stack.append(self.memo[argument])
        elif name in ('BINPUT', 'LONG_BINPUT'):
            self.memo[argument] = stack[-1]
        elif name == 'MARK':
            self.marks.append(stack)
            self.stack = []
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [self._tuple(stack[-count:])]
        elif name == 'TUPLE':
            items = self._unmarked()
            self.stack.append(self._tuple(items))
        elif name in ('APPEND', 'APPENDS'):
            items = [stack.pop()] if name == 'APPEND' else self._unmarked()
            self._grow(items)
        elif name in ('SETITEM', 'SETITEMS'):
            items = [stack.pop(), stack.pop()][::-1] if name == 'SETITEM' else self._unmarked()
            self._spend(sum(item.size for item in items[::2]))  # keys are hashed
            self._grow(items)
        elif name == 'GLOBAL':
            stack.append(_Value(content=_full_name(*argument.split(' ', 1))))
        elif name in ('REDUCE', 'NEWOBJ', 'BUILD'):
            self._call(name, stack.pop())
        elif name == 'BINPERSID':
            self._storage(stack[-1].items)
            stack[-1] = _Value()
        elif name not in ('PROTO', 'STOP'):
            raise UnpicklingError(f'weights do not need the step {name}')

    def _unmarked(self) -> list[_Value]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def _tuple(self, items: list[_Value]) -> _Value:
        value = _Value(items=tuple(items))
        value.size += sum(item.size for item in value.items)
        if value.size > self.most:
            raise BeyondLimits('its values share their parts too often')
        return value

    def _grow(self, items: list[_Value]) -> None:
        self.stack[-1].size += sum(item.size for item in items)

    def _spend(self, size: int) -> None:
        self.most -= size
        if self.most < 0:
            raise BeyondLimits('its values share their parts too often')

    def _call(self, name: str, arguments: _Value) -> None:
        called = self.stack[-1]
        if name != 'BUILD':
            function = arguments.items[0].content if called.content == _WITH_FUNCTION else called.content
            if function not in _CALLED:
                raise UnpicklingError(f'Unsupported global: GLOBAL {function}')
        size = arguments.size + sum(item.size for item in arguments.items)  # a list may have grown in its tuple
        self._spend(size)
        self.stack[-1] = called if name == 'BUILD' else _Value()
        self.stack[-1].size += size

    def _storage(self, items: tuple[_Value, ...]) -> None:
        key, count = (items[place].content for place in (2, 4))
        if key not in self.storages and isinstance(count, int):
            self.storages.add(key)
            self.numbers -= count
            if count < 0 or self.numbers < 0:
                raise BeyondLimits('its tensors state more numbers than the file has bytes')


def _full_name(module: str, name: str) -> str:
    """``__builtin__ eval``, as protocol 2 has it, is ``builtins.eval``."""
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return f'{module}.{name}'


def check_safetensors(path: Path) -> None:
    """See that a file of safetensors names no more tensors than models have.

    Raises:
        BeyondLimits: it does.
    """
    with path.open('rb') as file:
        length = int.from_bytes(file.read(8), 'little')
        start = file.read(min(length, LONGEST_HEADER))
    keys = start.count(b'"dtype"')
    if length > LONGEST_HEADER or keys > MOST_KEYS:
        raise BeyondLimits(f'its header of {length} bytes names more tensors than a model has')
