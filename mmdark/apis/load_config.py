"""Read a config and merge command-line options into it."""

from __future__ import annotations

import copy
import difflib
import errno
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from mmdark.configs import find_config
from mmdark.errors import InputError
from mmdark.whole_file import FULL

from .config_files import RUNNER_KEYS, read_config
from .config_sections import settle_sections
from .config_spelling import check_spelling
from .config_variables import is_variable, with_variables

FOR_WORKERS = ('persistent_workers', 'prefetch_factor', 'timeout', 'multiprocessing_context')
"""Settings that torch's ``DataLoader`` rejects when ``num_workers`` is 0."""


class RunConfig(Config):
    """A config that a Runner dumps without yapf formatting, which takes a second each time."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **{**kwargs, 'format_python_code': False})

    def dump(self, file: str | os.PathLike | None = None) -> str | None:
        """Write the config to a file or return its text; if the disk is full, warn and remove the partial file."""
        try:
            return super().dump(file)
        except OSError as error:
            if file is None or error.errno not in (*FULL, errno.EFBIG):
                raise
            with suppress(OSError):
                os.unlink(file)
            print_log(f'{file} could not be written ({error.strerror})', 'current', logging.WARNING)
            return None


def load_config(path: str, options: dict | None = None, work_dir: str | None = None) -> Config:
    """Read a config and merge options into it.

    Args:
        path: path of a config file, or name of a config of mmdark (``dsfd_dark_wider``).
        options: overrides, as for ``--cfg-options``. A config variable (``data_root``, ``input_size``) changes in all
            base files and in every dict with the same key and the old value. None removes a default hook.
        work_dir: where logs and checkpoints go; ``work_dirs/<config name>`` by default.

    Raises:
        InputError: a file is missing or broken, or a key is unknown.
    """
    path = str(find_config(path))
    file, read = read_config(path)
    check_spelling(file, read)
    options = options or {}
    for key in options:
        _check_key(read, key)
    cfg = with_variables(file, read, _new_values(read, options))
    for key in options.keys() & read.keys() - RUNNER_KEYS:
        for node in list(_dicts_with(cfg._cfg_dict, key, read[key])):
            node[key] = options[key]
    cfg.merge_from_dict(options)
    settle_sections(path, cfg)
    _remove_settings_of_workers(cfg)
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    return RunConfig(cfg._cfg_dict, cfg.text, cfg.filename, cfg.env_variables)


def _new_values(cfg: Config, options: dict) -> dict:
    """New values of the config variables that the options change."""
    own = {key: value for key, value in options.items() if (name := key.split('.')[0]) in cfg and is_variable(name)}
    changed = Config({key.split('.')[0]: copy.deepcopy(cfg[key.split('.')[0]]) for key in own})
    changed.merge_from_dict(own)
    return changed.to_dict()


def _check_key(cfg: Config, key: str) -> None:
    """Check that each part of a dotted key exists; the last may be a new dict key unless it looks misspelt."""
    node, parts = cfg, key.split('.')
    for depth, part in enumerate(parts):
        wrong = f"--cfg-options {key}: there is no '{part}' in the config"
        if isinstance(node, (list, tuple)):
            if part not in map(str, range(len(node))):
                raise InputError(f'{wrong}; {".".join(parts[:depth])} has the entries 0 to {len(node) - 1}')
            node = node[int(part)]
            continue
        if not isinstance(node, (dict, Config)):
            raise InputError(f'{wrong}; {".".join(parts[:depth])} is {node!r}')
        if part in node:
            node = node[part]
            continue
        if depth == 0 and part in RUNNER_KEYS:
            return
        may_be_new = 0 < depth == len(parts) - 1
        known = {key for key in (*node, *(RUNNER_KEYS if depth == 0 else ())) if not key.startswith('_')}
        close = difflib.get_close_matches(part, known, n=1, cutoff=0.9 if may_be_new else 0.6)
        if not may_be_new or close:
            hint = f"did you mean '{close[0]}'?" if close else f'known here: {", ".join(sorted(known))}'
            raise InputError(f'{wrong}; {hint}')
        return


def _dicts_with(node: object, key: str, value: object) -> Iterator[dict]:
    """Every dict below ``node`` that holds ``key: value``."""
    if isinstance(node, dict):
        if node.get(key) == value:
            yield node
        for child in node.values():
            yield from _dicts_with(child, key, value)
    elif isinstance(node, (list, tuple)):
        for child in node:
            yield from _dicts_with(child, key, value)


def _remove_settings_of_workers(cfg: Config) -> None:
    """Remove :data:`FOR_WORKERS` from data loaders whose ``num_workers`` is 0."""
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name) or {}
        if not loader.get('num_workers'):
            for key in FOR_WORKERS:
                loader.pop(key, None)
