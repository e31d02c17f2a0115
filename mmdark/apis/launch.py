"""From a command line to a Runner: configs with checked options, processes, and errors in one line."""

from __future__ import annotations

import difflib
import gc
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmdark.errors import INTERRUPTED, InputError

from .config_text import FormattedOnce
from .configs import find_config

RUNNER_KEYS = {*inspect.signature(Runner.__init__).parameters, 'custom_imports', 'find_unused_parameters', 'sync_bn'}
MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
BUILD_ERRORS = re.compile(r'unexpected keyword argument|is not in the|missing \d+ required|Duplicate key is not')
EMPTY_DATA = 'need at least one array to concatenate'
"""What mmengine says where a data set is empty after filtering."""


def load_config(path: str, options: dict | None = None, work_dir: str | None = None) -> Config:
    """Read a config and merge options into it.

    Args:
        path: of the config file, or the name of one of ours (``dsfd_dark_wider``).
        options: of ``--cfg-options``. The name of a variable of the config (``data_root``, ``input_size``) changes the
            value wherever it stands under that name; the config language alone would change the variable only. None
            leaves out a default hook.
        work_dir: where logs and checkpoints go; ``work_dirs/<config name>`` by default.

    Raises:
        InputError: the file is missing, or a key is unknown.
    """
    path = str(find_config(path))
    cfg = Config.fromfile(path)
    options = options or {}
    for key in options:
        _check_key(cfg, key)
    for key in options.keys() & cfg.keys() - RUNNER_KEYS:
        for node in list(_dicts_with(cfg._cfg_dict, key, cfg[key])):
            node[key] = options[key]
    cfg.merge_from_dict(options)
    for name in [name for name, hook in cfg.get('default_hooks', {}).items() if hook is None]:
        if name not in MMENGINE_HOOKS:  # mmengine leaves out its own when they are None, and stops at any other
            del cfg.default_hooks[name]
    for key in cfg:
        close = difflib.get_close_matches(key, RUNNER_KEYS, n=1, cutoff=0.85)
        if key not in RUNNER_KEYS and close and close[0] not in cfg:
            raise InputError(f"config {path}: nothing reads '{key}'; did you mean '{close[0]}'?")
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    return FormattedOnce(cfg._cfg_dict, cfg_text=cfg.text, filename=cfg.filename, env_variables=cfg.env_variables)


def _check_key(cfg: Config, key: str) -> None:
    """Each part of a dotted key must exist; the last may be new in a dict where nothing is spelt almost like it."""
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


def prepare_distributed(cfg: Config, launcher: str) -> None:
    """Set the launcher; without CUDA the processes of torchrun talk through gloo.

    Raises:
        InputError: another launcher than torchrun's, without CUDA.
    """
    cfg.launcher = launcher
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise InputError(f'--launcher {launcher} needs CUDA; without it use --launcher pytorch (tools/dist_train.sh)')
    torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)


def leave_distributed() -> None:
    """Part from the other processes, if there are any; call it once the Runner is out of reach.

    A Runner lies in a circle of references, and its wrapped model shares the process group, whose threads must end
    before the interpreter does: one that is left makes it abort ("terminate called without an active exception").
    The garbage goes first, so that the last to let go of the group is ``destroy_process_group``, which frees it without
    the interpreter's lock. Freed by the wrapped model, the group keeps the lock and waits for its threads, and a thread
    that frees a tensor waits for the lock.
    """
    if torch.distributed.is_initialized():
        gc.collect()
        torch.distributed.destroy_process_group()


def enable_amp(cfg: Config) -> None:
    """Train in bfloat16, on a GPU or a CPU."""
    cfg.optim_wrapper.type = 'Bfloat16OptimWrapper'


def run_or_explain(main: Callable[[], None]) -> None:
    """Run a tool; what is the input's fault ends it with one line on stderr and status 1, Ctrl-C with 130."""
    try:
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
        leave_distributed()
    except KeyboardInterrupt:
        print('ended by Ctrl-C', file=sys.stderr)
        sys.exit(INTERRUPTED)
    except InputError as error:
        sys.exit(f'error: {_last_line(error)}')
    except FileNotFoundError as error:
        sys.exit(f'error: {error.filename or error} does not exist: name it in the config or with --cfg-options')
    except (TypeError, KeyError, ValueError) as error:
        if EMPTY_DATA in str(error):
            sys.exit(
                'error: a data set has no image to train on: its annotation must hold faces, under the name that '
                "metainfo.classes gives ('face'; letter by letter)"
            )
        if not BUILD_ERRORS.search(str(error)):
            raise
        sys.exit(f'error: the config cannot be built: {_last_line(error)}')


def _last_line(error: Exception) -> str:
    """The message alone: a data loader's worker wraps it into its traceback."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].split('InputError: ')[-1]
