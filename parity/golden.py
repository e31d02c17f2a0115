"""The golden cases in a folder: numbers that the authors' code printed."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmdark.errors import InputError
from mmdark.file_limits import parse_json


@dataclass(frozen=True)
class GoldenCase:
    """The name of a case, its json (how it was made, and scalars), and its npz, empty if there is none."""

    name: str
    record: dict | list
    arrays: dict[str, np.ndarray]


def golden_cases(folder: str | os.PathLike, prefix: str) -> list[GoldenCase]:
    """The cases in ``folder`` whose names begin with ``prefix``, sorted by name.

    Raises:
        InputError: the folder is missing, or a case cannot be read.
    """
    if not Path(folder).is_dir():
        raise InputError(f'{folder} is no folder: name one with golden cases (*.json and *.npz)')
    return [_read(path) for path in sorted(Path(folder).glob(f'{prefix}*.json'))]


def _read(path: Path) -> GoldenCase:
    arrays = path.with_suffix('.npz')
    try:
        record = parse_json(path.read_text(encoding='utf-8'))
        return GoldenCase(path.stem, record, dict(np.load(arrays)) if arrays.is_file() else {})
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f'golden case {path} cannot be read: {error}') from error
