"""Safe checkpoint loading for mmengine: no checkpoint can run code.

Cause: mmengine 0.10.7 calls ``torch.load`` with its defaults. Before torch 2.6 this runs pickled code; since 2.6 it
rejects mmengine's own Runner checkpoints because of their ``HistoryBuffer`` and numpy globals. onedl-mmengine falls
back to ``weights_only=False``, and ``load_url`` of both packages runs pickled code. This module makes all loaders of
both packages use :mod:`mmdark.compat.checkpoint_unpickler`. End: when mmengine and torch load safely themselves.
"""

import os
import re
import warnings
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any
from urllib.parse import urlparse

import torch
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from mmdark.compat import checkpoint_unpickler
from mmdark.compat.checkpoint_contents import settle_contents
from mmdark.compat.checkpoint_limits import check_checkpoint, check_safetensors, is_zip
from mmdark.compat.checkpoint_records import restore
from mmdark.errors import InputError
from mmdark.file_limits import BeyondLimits

MapLocation = str | torch.device | dict | Callable | None

STRANGE_FILES = {
    b'<!doctype html': 'a web page: the download needs a browser or was refused',
    b'<?xml': 'a web page or another XML text',
    b'<html': 'a web page: the download needs a browser or was refused',
    b'version https://git-lfs': 'a pointer of Git LFS: run git lfs pull where it came from',
    b'rar!': 'a RAR archive: unpack it first',
    b'7z\xbc\xaf': 'a 7z archive: unpack it first',
    b'\x1f\x8b': 'a gzip archive: unpack it first',
}
"""First bytes of files often mistaken for checkpoints → what the file is, and what to do."""
SAFETENSORS = '.safetensors'
TEXT = frozenset(b'\t\n\r' + bytes(range(32, 127)))


def read_checkpoint(
    file: str | os.PathLike | IO[bytes], map_location: MapLocation = None, mmap: bool = False
) -> dict[str, Any]:
    """Read a checkpoint without running code from it.

    Args:
        file: path, or a binary file object. A ``.safetensors`` file holds only weights.
        map_location: as in ``torch.load``.
        mmap: memory-map the tensors and skip the checksums, for a quick look; only for paths.

    Returns:
        The checkpoint: a Runner's, or a plain dict of weights.

    Raises:
        InputError: when the file is missing, empty, cut off, not a checkpoint, or holds more than tensors, numbers,
            text and mmengine's log history.
    """
    if isinstance(file, str | os.PathLike):
        file = Path(file).expanduser()
        _check_is_file(file)
        if file.suffix == SAFETENSORS:
            return _refuse_or_return(file, lambda: _read_safetensors(file, map_location))
    return _refuse_or_return(file, lambda: _read(file, map_location, mmap))


def _read(file: Path | IO[bytes], map_location: MapLocation, mmap: bool) -> Any:
    """Load a torch file after checking its limits."""
    limits = check_checkpoint(file, checksums=not mmap)
    options = dict(mmap=True) if mmap and is_zip(file) else {}
    content = torch.load(
        str(file) if isinstance(file, Path) else file,
        map_location,
        pickle_module=checkpoint_unpickler,
        weights_only=False,
        limits=limits,
        **options,
    )
    return restore(content, limits.most)


def safetensors_torch() -> ModuleType:
    """Import ``safetensors.torch``, an optional dependency.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module('safetensors.torch')
    except ImportError as error:
        raise InputError(
            'files named *.safetensors need the package safetensors: pip install safetensors (or mmdark[safetensors])'
        ) from error


def _read_safetensors(path: Path, map_location: MapLocation) -> dict[str, Any]:
    """Weights and metadata of a safetensors file; a ``map_location`` that is not a device means CPU."""
    check_safetensors(path)
    device = torch.device(map_location) if isinstance(map_location, str | torch.device) else torch.device('cpu')
    package = safetensors_torch()
    with package.safe_open(path, framework='pt') as file:
        meta = file.metadata()
    return {'meta': dict(meta or {}), 'state_dict': package.load_file(path, device=str(device))}


def load_from_local(filename: str, map_location: MapLocation = None) -> dict[str, Any]:
    """``read_checkpoint``; mmengine derives its log message from the name of this function."""
    return read_checkpoint(filename, map_location)


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f'checkpoint {path} is a folder: name a .pth file in it')
    if not path.is_file():
        raise InputError(f'checkpoint {path} does not exist: check the path')
    if path.stat().st_size == 0:
        raise InputError(f'checkpoint {path} is empty: copy or download it again, or name an earlier one')
    with path.open('rb') as file:
        start = file.read(512)
    shown = start.removeprefix(b'\xef\xbb\xbf').lstrip().lower()
    seems = next((seems for signature, seems in STRANGE_FILES.items() if shown.startswith(signature)), None)
    if start[257:262] == b'ustar':
        seems = 'a tar archive: unpack it first'
    elif seems is None and all(byte in TEXT for byte in start):
        seems = 'a text'
    if seems:
        raise InputError(f'checkpoint {path} is no weight file, it seems to be {seems}')


def _refuse_or_return(source: Any, load: Callable[[], Any]) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            checkpoint = load()
    except InputError:
        raise
    except zipfile.BadZipFile as error:
        raise InputError(
            f'checkpoint {_name(source)} is damaged ({str(error)[:80]}): copy or download it again, or name an earlier '
            'one'
        ) from None
    except BeyondLimits as error:
        raise InputError(
            f'checkpoint {_name(source)} is refused: {error}; ask whoever made it for the weights alone'
        ) from None
    except Exception as error:  # a damaged or malicious file can raise any exception in torch's reader
        raise InputError(f'checkpoint {_name(source)} {_reason(error)}') from error
    if not isinstance(checkpoint, dict):
        raise InputError(
            f'checkpoint {_name(source)} holds a {type(checkpoint).__name__}, not a dict of weights: name another file'
        )
    settle_contents(checkpoint, _name(source))
    return checkpoint


def _name(source: Any) -> str:
    return str(getattr(source, 'name', 'of this stream') if hasattr(source, 'read') else source)


def _reason(error: Exception) -> str:
    text = str(error)
    refused = re.search(r'GLOBAL (\S+)', text)
    if refused:
        return (
            f'is refused: it asks for {refused[1]}, and loading runs no code; '
            'it must hold only tensors, numbers, text and log history'
        )
    detail = re.split(r'\n|\. ', text.rsplit('WeightsUnpickler error:', 1)[-1].strip(), maxsplit=1)[0]
    return (
        f'cannot be read as a checkpoint ({type(error).__name__}: {detail[:80]}): '
        'it may be cut off or another kind of file; copy or download it again, or name an earlier one'
    )


def load_checkpoints_safely() -> None:
    """Replace mmengine's checkpoint loaders by ``read_checkpoint``; can be called more than once."""
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    mmengine_checkpoint.load_url = _load_url
    if hasattr(mmengine_checkpoint, '_safe_torch_load'):
        mmengine_checkpoint._safe_torch_load = _safe_torch_load


def _load_url(
    url: str, model_dir: str | None = None, map_location: MapLocation = None, progress: bool = True
) -> dict[str, Any]:
    """Replacement for torch's ``load_url``, which runs pickled code of some files."""
    path = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints') / Path(urlparse(url).path).name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), progress=progress)
    return read_checkpoint(path, map_location)


def _safe_torch_load(
    file: str | IO[bytes], map_location: MapLocation = None, weights_only: bool | None = None
) -> dict[str, Any]:
    """Replacement for the function of onedl-mmengine, without its fallback to ``weights_only=False``."""
    return read_checkpoint(file, map_location)
