"""Choose the checkpoint from which a training resumes: the newest undamaged one, the same in all processes."""

from __future__ import annotations

import copy
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.runner import Runner

from mmdark.compat import read_checkpoint
from mmdark.compat.checkpoint_contents import check_kinds
from mmdark.compat.checkpoint_limits import check_checkpoint
from mmdark.engine.resumable import DATED
from mmdark.errors import InputError

LAUNCHED = 'MMDARK_LAUNCHED'
"""Environment variable with the start time of ``tools/dist_train.sh``, in the format :data:`TIME`."""
TIME = '%Y%m%d_%H%M%S'
"""Format of the time in a checkpoint of mmengine."""


def last_checkpoint(work_dir: str, since: str = '', say: Callable[[str], None] = print) -> str | None:
    """The newest undamaged checkpoint from which a training can resume.

    The newest checkpoint is the one with the latest time stored in it (copying changes the file time), then the highest
    iteration. mmengine instead reads the file ``last_checkpoint``, which may name an older one if it was killed.

    Args:
        work_dir: folder of the training; the folder of the checkpoint in ``last_checkpoint`` is searched, too.
        since: use only checkpoints written at this time or later, in the format :data:`TIME`.
        say: called with a line for each damaged file.
    """
    record = Path(work_dir) / 'last_checkpoint'
    named = record.read_text(errors='replace').strip() if record.is_file() else ''
    folders = dict.fromkeys([Path(work_dir), *([Path(named).parent] if named else [])])
    found = []
    for path in (path for folder in folders for path in folder.glob('*.pth')):
        try:
            checkpoint = read_checkpoint(path, 'cpu', mmap=True)
            check_kinds(checkpoint, DATED, str(path))
        except InputError as error:
            say(f'{error}; it is left out')
            continue
        if 'optimizer' in checkpoint:
            meta = checkpoint.get('meta', {})
            written = meta.get('time') or time.strftime(TIME, time.localtime(path.stat().st_mtime))
            found.append((written, meta.get('iter') or 0, str(path)))
    for written, _, newest in sorted(found, reverse=True):
        if written < since:
            break
        if _is_whole(newest):
            return newest
        say(f'checkpoint {newest} is damaged: its contents do not have the checksums it states; it is left out')
    return None


def _is_whole(path: str) -> bool:
    """Whether all parts of a file match their checksums; the format before torch 1.6 has none."""
    try:
        check_checkpoint(Path(path))
    except (OSError, zipfile.BadZipFile):
        return False
    return True


def choose_start(runner: Runner, resume: str | None) -> None:
    """Set the checkpoint from which a training starts; the first process chooses for all.

    A training that torchrun has restarted resumes from the newest checkpoint of this launch, if there is one.

    Args:
        runner: the training, before it runs.
        resume: a checkpoint; 'auto' for the newest undamaged one; None to start as configured.
    """
    launches: list[str] = [launch for launch in all_gather_object(os.environ.get(LAUNCHED, '')) if launch]
    start = [runner._load_from, runner._resume]
    if is_main_process():
        if runner._resume and not runner._load_from:
            resume = resume or 'auto'
        say = runner.logger.warning
        again = last_checkpoint(runner.work_dir, min(launches), say) if launches else None
        if again:
            say(f'started again: the training goes on from {again}')
        elif resume == 'auto' and not (resume := last_checkpoint(runner.work_dir, say=say)):
            say(f'--resume: there is no checkpoint in {runner.work_dir}, the training starts anew')
            start = [runner._load_from, False]
        path = again or resume
        if path:
            start = [path, True]
    broadcast_object_list(start)
    runner._load_from, runner._resume = start


def note_start(runner: Runner) -> None:
    """Write the choice of :func:`choose_start` into the config next to the log, which was written before the choice."""
    log = runner._resume and is_main_process() and runner.visualizer.get_backend('LocalVisBackend')
    if log:
        cfg = copy.deepcopy(runner.cfg)
        cfg.load_from, cfg.resume = runner._load_from, True
        log.add_config(cfg)
