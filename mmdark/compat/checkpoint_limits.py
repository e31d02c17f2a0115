"""Limit the memory that reading a checkpoint takes, before its tensors are read: a small file can demand any amount.

Cause: torch's reader unpacks deflated content of any size, and a safetensors header may list any number of tensors.
:mod:`mmdark.compat.checkpoint_unpickler` limits the pickle inside a checkpoint. End: when torch limits these.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, NamedTuple
from zipfile import BadZipFile, ZipFile

import torch

from mmdark.file_limits import BeyondLimits, check_inflation, most_bytes

RATIO = 20
"""Maximum size of the content relative to the file: weights are not compressed, but some share memory."""
MOST_KEYS = 100_000
"""Maximum number of tensors in a safetensors file."""
LONGEST_HEADER = 16 << 20
"""Maximum size in bytes of the header of a safetensors file."""

_ZIP = b'PK\x03\x04'


class Limits(NamedTuple):
    """Limits on the content of a checkpoint."""

    size: int
    """Bytes of all files in it, uncompressed."""
    most: int
    """Maximum number of values and bytes that its pickle may create."""


@contextmanager
def _opened(file: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """A file opened for reading, or a stream whose position is restored."""
    if isinstance(file, Path):
        with file.open('rb') as opened:
            yield opened
        return
    position = file.tell()
    yield file
    file.seek(position)


def is_zip(file: Path | IO[bytes]) -> bool:
    """Whether torch reads a checkpoint as a zip; otherwise as its format before 1.6."""
    with _opened(file) as opened:
        return opened.read(len(_ZIP)) == _ZIP


def check_checkpoint(file: Path | IO[bytes], checksums: bool = True) -> Limits:
    """Check the container of a checkpoint: its uncompressed size, and that it is whole.

    Args:
        file: a checkpoint as torch writes it.
        checksums: verify the checksums of a zip; the format before torch 1.6 has none.

    Raises:
        BeyondLimits: the checkpoint would take too much memory.
        UnpicklingError: torch would not read the checkpoint as a pickle.
        BadZipFile: the file is damaged.
    """
    zipped = is_zip(file)
    with _opened(file) as opened:
        start = opened.tell()
        size = opened.seek(0, io.SEEK_END) - start
        opened.seek(start)
        if not zipped:
            if tarfile.is_tarfile(opened):
                raise UnpicklingError('a tar archive')
            return Limits(size, most_bytes(size, RATIO))
        with ZipFile(opened) as archive:
            entries = archive.infolist()
            check_inflation(entries, size, RATIO)
            checksums = checksums and any(entry.CRC for entry in entries)  # torch can be told to write none
            if checksums and (damaged := archive.testzip()):
                raise BadZipFile(f'Bad CRC-32 for file {damaged!r}')
    with _opened(file) as opened:
        if 'constants.pkl' in torch._C.PyTorchFileReader(opened).get_all_records():
            raise UnpicklingError('a TorchScript archive')  # torch.load would run it
    return Limits(sum(entry.file_size for entry in entries), most_bytes(size, RATIO))


def check_safetensors(path: Path) -> None:
    """Check that the header of a safetensors file is not too long and does not list too many tensors.

    Raises:
        BeyondLimits: the header is too long or lists too many tensors.
    """
    with path.open('rb') as file:
        length = int.from_bytes(file.read(8), 'little')
        keys = file.read(min(length, LONGEST_HEADER)).count(b'"dtype"')
    if length > LONGEST_HEADER or keys > MOST_KEYS:
        raise BeyondLimits(f'its header of {length} bytes names more tensors than a model has')
