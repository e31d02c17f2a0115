"""Record the hashes of configs that a training wrote, so that no other file beside a checkpoint is run as config."""

from __future__ import annotations

import json
from pathlib import Path

from mmdark.file_limits import parse_json, refuse_endless
from mmdark.whole_file import sha256_of, write_whole

RECORD = 'trained_configs.json'
"""Name of the record in a work directory; it maps config names to their SHA-256."""


def record_config(path: Path) -> None:
    """Record the hash of a config that a training has written.

    Raises:
        InputError: the record cannot be written.
    """
    record = _read(path.parent) | {path.name: sha256_of(path)}
    write_whole(path.parent / RECORD, (json.dumps(record, indent=1) + '\n').encode())


def recorded_configs(folder: Path) -> dict[str, Path]:
    """Configs in a folder that are unchanged since a training wrote them, by name without suffix."""
    paths = {folder / name: value for name, value in _read(folder).items() if Path(name).name == name}
    return {path.stem: path for path, value in sorted(paths.items()) if path.is_file() and sha256_of(path) == value}


def _read(folder: Path) -> dict[str, str]:
    try:
        refuse_endless(folder / RECORD)
        record = parse_json((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in record.items()} if isinstance(record, dict) else {}
