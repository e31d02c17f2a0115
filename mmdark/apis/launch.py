"""From a command line to a Runner: configs with checked options, processes, and errors in one line."""

from __future__ import annotations

import copy
import difflib
import gc
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

import torch
from mmengine.config import Config
from torch import nn

from mmdark.configs import find_config
from mmdark.errors import INTERRUPTED, InputError, one_line
from mmdark.whole_file import writing

from .config_files import RUNNER_KEYS, read_config
from .config_sections import settle_sections
from .config_spelling import check_spelling
from .config_text import FormattedOnce
from .config_variables import is_variable, with_variables

BUILD_ERRORS = re.compile(
    r'unexpected keyword argument|is not in the|missing \d+ required|must contain the key|rule must be specified|'
    'either all None or not None|should not be None when calling|batch_size should be a positive'
)
EMPTY_DATA = 'need at least one array to concatenate'
"""What mmengine says where a data set is empty after filtering."""
ONE_VALUE = 'Expected more than 1 value per channel when training'
"""What torch says where batch norm has nothing to average."""
FOR_WORKERS = ('persistent_workers', 'prefetch_factor', 'timeout', 'multiprocessing_context')
"""What torch's data loader refuses where it has no workers."""
LEAVING = 600.0
"""Seconds in which a process that is done waits for the others, of which the first may still write a checkpoint."""


def load_config(path: str, options: dict | None = None, work_dir: str | None = None) -> Config:
    """Read a config and merge options into it.

    Args:
        path: of the config file, or the name of one of ours (``dsfd_dark_wider``).
        options: of ``--cfg-options``. A variable of the config (``data_root``, ``input_size``) changes in all files,
            and wherever its old value is written out under its name; the config language alone
            would change the variable only. None leaves out a default hook.
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
    _expect_no_workers(cfg)
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    return FormattedOnce(cfg._cfg_dict, cfg_text=cfg.text, filename=cfg.filename, env_variables=cfg.env_variables)


def _new_values(cfg: Config, options: dict) -> dict:
    """What the options make of the variables of a config."""
    own = {key: value for key, value in options.items() if (name := key.split('.')[0]) in cfg and is_variable(name)}
    changed = Config({key.split('.')[0]: copy.deepcopy(cfg[key.split('.')[0]]) for key in own})
    changed.merge_from_dict(own)
    return changed.to_dict()


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


def _expect_no_workers(cfg: Config) -> None:
    """Take out of the data loaders without workers what is for workers."""
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name) or {}
        if not loader.get('num_workers'):
            for key in FOR_WORKERS:
                loader.pop(key, None)


def make_work_dir(path: str) -> None:
    """Make the folder of a training or a test.

    Raises:
        InputError: it cannot be made, or nothing can be written there.
    """
    with writing(path, '--work-dir'):
        os.makedirs(path, exist_ok=True)
        with TemporaryFile(dir=path):
            pass


def prepare_distributed(cfg: Config, launcher: str) -> None:
    """Set the launcher; without CUDA the processes of torchrun talk through gloo, and RTMDet keeps its batch norm.

    Raises:
        InputError: another launcher than torchrun's, without CUDA.
    """
    cfg.launcher = launcher
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise InputError(f'--launcher {launcher} needs CUDA; without it use --launcher pytorch (tools/dist_train.sh)')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = {**wrapper, **(cfg.get('model_wrapper_cfg') or {}), 'device_ids': None}
    for model in (cfg.model, cfg.model.get('detector') or {}):
        if model.get('type') == 'RTMDet':
            model.setdefault('use_syncbn', False)  # torch has SyncBatchNorm for GPUs alone


def leave_distributed() -> None:
    """Part from the other processes, if there are any, when all are done; call it once the Runner is out of reach.

    A process that left while the first one still writes could make a launcher end that one. Who is gone is not
    waited for, and who does not come within ten minutes, no longer.

    A Runner lies in a circle of references, and its wrapped model shares the process group, whose threads must end
    before the interpreter does: one that is left makes it abort ("terminate called without an active exception").
    The garbage goes first, so that the last to let go of the group is ``destroy_process_group``, which frees it without
    the interpreter's lock. Freed by the wrapped model, the group keeps the lock and waits for its threads, and a thread
    that frees a tensor waits for the lock.
    """
    if torch.distributed.is_initialized():
        gc.collect()
        _wait_for_the_others()
        torch.distributed.destroy_process_group()


def _wait_for_the_others() -> None:
    """Until all processes have come here, at most :data:`LEAVING` seconds; whoever waits in vain ends at once."""
    all_here, limit = torch.distributed.barrier(async_op=True), time.monotonic() + LEAVING
    while not all_here.is_completed():
        if time.monotonic() > limit:
            print(f'error: the other processes did not end within {LEAVING:g} seconds', file=sys.stderr, flush=True)
            sys.stdout.flush()
            os._exit(1)  # an exchange that has begun cannot be called off: destroying its group would wait for it
        time.sleep(0.02)
    with suppress(RuntimeError):  # another process is gone, which its launcher reports
        all_here.wait()


def enable_amp(cfg: Config) -> None:
    """Train in bfloat16, on a GPU or a CPU."""
    cfg.optim_wrapper.type = 'Bfloat16OptimWrapper'


def in_bfloat16(model: nn.Module) -> Callable[[dict], list]:
    """The model's ``test_step`` under autocast to bfloat16, on the device of its weights."""
    step, device = model.test_step, next(model.parameters()).device.type

    def test_step(data: dict) -> list:
        with torch.autocast(device, torch.bfloat16):
            return step(data)

    return test_step


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
        sys.exit(f'error: {one_line(_last_line(error))}')
    except FileNotFoundError as error:
        sys.exit(f'error: {error.filename or error} does not exist: name it in the config or with --cfg-options')
    except (TypeError, KeyError, ValueError, RuntimeError) as error:
        if EMPTY_DATA in str(error):
            sys.exit(
                'error: a data set has no image to train on: its annotation must hold faces, under the name that '
                "metainfo.classes gives ('face'; letter by letter)"
            )
        if ONE_VALUE in str(error):
            sys.exit(
                'error: batch norm cannot train on one value per channel, the single cell of the smallest map of one '
                'image; raise input_size or train_dataloader.batch_size, or leave out a last batch of one image with '
                'train_dataloader.drop_last=True'
            )
        if not BUILD_ERRORS.search(str(error)):
            raise
        line = next(
            (line for line in str((error.args or [error])[0]).splitlines() if BUILD_ERRORS.search(line)),
            _last_line(error),
        )
        sys.exit(f'error: the config cannot be built: {line.split(", but got ")[0]}')


def _last_line(error: Exception) -> str:
    """The message alone: a data loader's worker wraps it into its traceback."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].split('InputError: ')[-1]
