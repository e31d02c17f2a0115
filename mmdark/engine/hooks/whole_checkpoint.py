"""Checkpoint saving that is safe against kills and full disks."""

from __future__ import annotations

import os
import time
from copy import copy
from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import is_main_process, master_only
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmdark.engine.agreement import largest_of_all
from mmdark.engine.checkpoint_files import is_checkpoint_name, same_place
from mmdark.engine.once_a_minute import MINUTE, OnceAMinute
from mmdark.engine.optim_wrappers import accumulated_batches
from mmdark.errors import InputError
from mmdark.whole_file import clear_parts, write_verified

RECORD = 'last_checkpoint'
"""Name of the file in which mmengine looks for the path of the checkpoint to resume from."""
LAST, KEPT = 'last_ckpt', 'keep_ckpt_ids'
"""Message hub keys of mmengine's ``CheckpointHook``."""
OWN = 'own_ckpts'
"""Message hub key: name of each existing checkpoint of this training → whether it was planned."""
DUE, VALIDATED = 'due_validation', 'validated_iter'
"""Message hub keys: whether a resume must begin with a validation; iteration of the last finished validation."""


@HOOKS.register_module()
class WholeCheckpoint(CheckpointHook):
    """``CheckpointHook`` that keeps the last good checkpoint if a write is killed, fails or is corrupted.

    mmengine 0.10.7 removes an old checkpoint before it writes the new one, truncates files before it writes them, and
    ends the training when a write fails. This hook writes to a temporary file, verifies and renames it
    (:class:`WholeFileBackend`), and removes old checkpoints afterwards. A failed write is logged in one line and the
    training continues; it ends with an error only if the last write failed. The disk needs space for one checkpoint
    more than ``max_keep_ckpts``.

    A checkpoint written because of ``max_minutes`` or a signal is unplanned: it is named after its iteration and
    removed when the next one is written, so that only the checkpoints of ``interval`` remain at the end.

    The hook removes only files that this training has written to its own folder. It never removes files in other
    folders, even if a resumed checkpoint names them.

    Args:
        backend_args: arguments of another file backend; by default :class:`WholeFileBackend` writes local files.
        max_minutes: maximum number of minutes between two checkpoints, measured by the first process. Checkpoints are
            written only after an optimizer step. None saves by ``interval`` only.
        **kwargs: other arguments of ``CheckpointHook``.
    """

    def __init__(
        self, *args: Any, backend_args: dict | None = None, max_minutes: float | None = None, **kwargs: Any
    ) -> None:
        local = backend_args is None and '://' not in str(kwargs.get('out_dir')) and not kwargs.get('file_client_args')
        super().__init__(*args, backend_args=dict(backend='whole') if local else backend_args, **kwargs)
        self.max_minutes = max_minutes
        self.failed: dict[str, str] = {}
        self.may_log = OnceAMinute()
        self.done_at: int | None = None
        self.newest: str | None = None
        self.own: dict[str, bool] = {}
        self.outdated: list[str] = []

    def before_train(self, runner: Runner) -> None:
        """Take over the checkpoints of a resumed training and remove partly written files."""
        hub, info = runner.message_hub, runner.message_hub.runtime_info
        if kept := info.pop(KEPT, None):  # from mmengine or mmdark 0.1; mmengine would remove these files itself
            names = [self.filename_tmpl.format(step) for step in kept if type(step) is int]
            info.setdefault(OWN, dict.fromkeys(names, True))
        super().before_train(runner)
        # mmengine removes the old best checkpoint (a file or folder) before it writes the new one: postpone this.
        self.file_backend.remove = self.file_backend.rmtree = self.outdated.append
        start, last = runner._load_from if runner._resume else None, info.get(LAST)
        if start and isinstance(last, str) and same_place(last, start) and self._is_mine(start):
            self.newest, own = last, info.get(OWN)
            self.own = dict(own) if isinstance(own, dict) else {}
            self._prune(os.path.basename(last))
        hub.update_info(OWN, self.own)
        self._restart_clock()
        if is_main_process():
            for folder in {Path(runner.work_dir), Path(self.out_dir)}:
                for part in clear_parts(folder, ('*.pth', RECORD)) if folder.is_dir() else ():
                    runner.logger.warning(f'{part} was left by a write that was cut off; it is removed')

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Save if ``interval`` or ``max_minutes`` is reached."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        done, steps = runner.iter + 1, accumulated_batches(runner.optim_wrapper)
        if self.max_minutes is not None and done < runner.max_iters and done % steps == 0:
            is_time = is_main_process() and self.done_at != done and time.monotonic() >= self.due_at
            if largest_of_all(int(is_time), done // steps):
                self.save_now(runner, done)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save if ``by_epoch``; a resume from this checkpoint first runs the validation that is due after the epoch."""
        loop, epoch = runner.train_loop, runner.epoch + 1
        if self.by_epoch and runner.val_loop is not None:
            runner.message_hub.update_info(DUE, epoch >= loop.val_begin and epoch % loop.val_interval == 0)
        super().after_train_epoch(runner)
        runner.message_hub.update_info(DUE, False)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Save the best checkpoint and record that the validation is finished."""
        runner.message_hub.update_info(VALIDATED, runner.iter)
        runner.message_hub.update_info(DUE, False)
        super().after_val_epoch(runner, metrics)

    def after_run(self, runner: Runner) -> None:
        """Raise an error if the last write failed.

        Raises:
            InputError: the last write failed.
        """
        if self.failed:
            raise InputError('; '.join(self.failed.values()))

    def save_now(self, runner: Runner, done: int) -> None:
        """Save an unplanned checkpoint, named after the number of ``done`` iterations."""
        name = f'iter_{done}.pth' if self.by_epoch else self.filename_tmpl.format(done)
        self._write(runner, name, dict(epoch=runner.epoch, iter=done), planned=self.own.get(name, False))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        self._write(runner, self.filename_tmpl.format(step), meta, planned=True)

    def _write(self, runner: Runner, name: str, meta: dict, planned: bool) -> None:
        """Write a checkpoint, and then remove older ones that are no longer kept."""
        hub, path = runner.message_hub, self.file_backend.join_path(self.out_dir, name)
        before = dict(hub.runtime_info)
        # This includes the files removed below: if the process is killed before, the resumed training removes them.
        own = {**{other: kept for other, kept in self.own.items() if other != name}, name: planned}
        hub.update_info_dict({LAST: path, OWN: own})
        try:
            runner.save_checkpoint(
                self.out_dir,
                name,
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
        except OSError as error:
            _restore(hub.runtime_info, before)
            self._fail(runner, 'last', path, error)
            return
        self.newest, self.done_at, self.own = path, meta['iter'], own
        self.failed.pop('last', None)
        self._restart_clock()
        self._record(runner, path)
        self._prune(name)
        hub.update_info(OWN, dict(self.own))

    def _prune(self, newest: str) -> None:
        """Remove all checkpoints except the newest and the last ``max_keep_ckpts`` planned ones."""
        planned = [name for name, is_planned in self.own.items() if is_planned]
        kept = {*(planned[-self.max_keep_ckpts :] if self.max_keep_ckpts > 0 else planned), newest}
        for name in [name for name in self.own if name not in kept]:
            self._remove(self.file_backend.join_path(self.out_dir, str(name)))
            del self.own[name]
        self.last_ckpt = self.file_backend.join_path(self.out_dir, planned[-1]) if planned else None

    @master_only
    def _record(self, runner: Runner, path: str) -> None:
        """Write the path of the newest checkpoint to the file that mmengine reads on a resume."""
        record = Path(runner.work_dir) / RECORD
        try:
            write_verified(record, os.fsencode(path))
        except OSError as error:
            if self.may_log(RECORD):
                reason = error.strerror or error
                runner.logger.error(f'{record} could not be written ({reason}); to go on, name {path} with --resume')

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Save the best checkpoint, then remove the previous one; if the write fails, keep that one."""
        info = runner.message_hub.runtime_info
        before = dict(info), {name: copy(value) for name, value in vars(self).items() if name.startswith('best_ckpt')}
        self.outdated.clear()
        try:
            super()._save_best_checkpoint(runner, metrics)
        except OSError as error:
            _restore(info, before[0])
            vars(self).update(before[1])
            self._fail(runner, 'best', f'the best checkpoint in {self.out_dir}', error)
            return
        best = [getattr(self, 'best_ckpt_path', None), *getattr(self, 'best_ckpt_path_dict', {}).values()]
        if any(getattr(self, name) != value for name, value in before[1].items()):
            self.failed.pop('best', None)
        for old in self.outdated:
            if old not in best:
                self._remove(old)

    def _restart_clock(self) -> None:
        self.due_at = time.monotonic() + MINUTE * (self.max_minutes or 0)

    def _is_mine(self, path: Any) -> bool:
        return isinstance(path, str) and same_place(os.path.dirname(path), str(self.out_dir))

    def _remove(self, path: Any) -> None:
        """Remove a checkpoint, unless it is a link, is in another folder or does not have the name of a checkpoint."""
        if is_main_process() and self._is_mine(path) and not os.path.islink(path):
            name = os.path.basename(path)
            if is_checkpoint_name(name, self.filename_tmpl) and self.file_backend.isfile(path):
                type(self.file_backend).remove(self.file_backend, path)

    def _fail(self, runner: Runner, which: str, path: str, error: OSError) -> None:
        """Log a failed write, at most once a minute, and store it for :meth:`after_run`."""
        left = self.newest or runner.message_hub.runtime_info.get(LAST)
        self.failed[which] = (
            f'{path} could not be written ({error.strerror or error}); '
            + (f'{left} is the last whole checkpoint' if left else 'there is no whole checkpoint')
            + '; make room on the disk, or name another place with --work-dir'
        )
        if self.may_log(which):
            runner.logger.error(f'{self.failed[which]}. The training goes on')
        self.due_at = time.monotonic() + MINUTE


def _restore(info: dict[str, Any], before: dict[str, Any]) -> None:
    info.clear()
    info.update(before)
