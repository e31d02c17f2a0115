"""Checkpoints that are there whole or not at all, and never fewer of them than before."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.dist import is_main_process, master_only
from mmengine.hooks import CheckpointHook
from mmengine.runner import CheckpointLoader, Runner

from mmdark.compat import plain
from mmdark.engine.accumulation import accumulated_batches
from mmdark.engine.agreement import largest_of_all
from mmdark.engine.checkpoint_names import is_checkpoint_name, same_place
from mmdark.engine.hub_infos import infos_of, restore_infos
from mmdark.engine.once_a_minute import MINUTE, OnceAMinute
from mmdark.errors import InputError
from mmdark.whole_file import clear_parts, write_verified

RECORD = 'last_checkpoint'
"""The file in which mmengine looks for the checkpoint to go on from."""
LAST, KEPT, BEST = 'last_ckpt', 'keep_ckpt_ids', ('best_ckpt', 'best_score')
"""What mmengine's hook keeps in the message hub; names of the best ones may go on with the metric's."""
PLANNED, UNPLANNED = 'planned_ckpt', 'unplanned_ckpts'
"""In the message hub: the path of the last planned checkpoint, and the names of the others that are still there."""
DUE, VALIDATED = 'due_validation', 'validated_iter'
"""In the message hub: a resume must begin with a validation, and the iteration after which the last one ended."""


@HOOKS.register_module()
class WholeCheckpoint(CheckpointHook):
    """``CheckpointHook`` that survives a kill, a full disk and a bad disk at any moment.

    mmengine 0.10.7 removes an old checkpoint before it writes the new one, opens files for writing in their place, and
    ends the training when it cannot. Here files are verified and then renamed (:class:`WholeFileBackend`), the old ones
    go afterwards, and a write that fails is said in one line: the training goes on to the next one, and ends with an
    error only if its last one failed. Beside ``max_keep_ckpts`` checkpoints there must be room for one more.

    A checkpoint that was not planned, because time was up or the training was stopped, is named after its iteration and
    goes when the next one is written, so that in the end the files are those of ``interval``.

    Only what this training has written into its own folder is ever removed: nothing that a checkpoint from elsewhere
    names, and no folder.

    Args:
        backend_args: of another file backend; by default files are local and written whole.
        max_minutes: write a checkpoint at least every so many minutes, by the clock of the first process, at the end of
            an iteration and between two steps of the optimizer; None leaves it to ``interval``.
        **kwargs: of ``CheckpointHook``; all of them work.
    """

    def __init__(
        self, *args: Any, backend_args: dict | None = None, max_minutes: float | None = None, **kwargs: Any
    ) -> None:
        local = backend_args is None and '://' not in str(kwargs.get('out_dir')) and not kwargs.get('file_client_args')
        super().__init__(*args, backend_args=dict(backend='whole') if local else backend_args, **kwargs)
        self.max_minutes = max_minutes
        self.failed: dict[str, str] = {}
        self.may_say = OnceAMinute()
        self.done_at: int | None = None
        self.newest: str | None = None
        self.unplanned: list[str] = []

    def before_train(self, runner: Runner) -> None:
        """Take over the files of a resumed training, and take away what a killed one left half-written."""
        info = runner.message_hub.runtime_info
        kept, unplanned = info.get(KEPT) or [], info.get(UNPLANNED) or []
        if kept:
            runner.message_hub.update_info(KEPT, [])  # mmengine would remove these whoever wrote them
        super().before_train(runner)
        own = self._wrote(info.get(LAST), runner)
        if own:
            self._take_over(runner, kept, unplanned)
        if self.save_best:
            best = self._best_paths().items()
            self._set_best_paths({key: path if own and self._is_mine(path) else None for key, path in best})
        self._wait()
        if is_main_process():
            for folder in {Path(runner.work_dir), Path(self.out_dir)}:
                for part in clear_parts(folder, ('*.pth', RECORD)) if folder.is_dir() else ():
                    runner.logger.warning(f'{part} was left by a write that was cut off; it is removed')

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Save where it is planned, or where time is up."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        done, steps = runner.iter + 1, accumulated_batches(runner.optim_wrapper)
        if self.max_minutes is not None and done < runner.max_iters and done % steps == 0:
            up = is_main_process() and self.done_at != done and time.monotonic() >= self.due_at
            if largest_of_all(int(up), done // steps):
                self.save_now(runner, done)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save where epochs are counted; who is killed in the validation that follows begins with it."""
        loop, epoch = runner.train_loop, runner.epoch + 1
        if self.by_epoch and runner.val_loop is not None:
            runner.message_hub.update_info(DUE, epoch >= loop.val_begin and epoch % loop.val_interval == 0)
        super().after_train_epoch(runner)
        runner.message_hub.update_info(DUE, False)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Save the best."""
        runner.message_hub.update_info(VALIDATED, runner.iter)
        runner.message_hub.update_info(DUE, False)
        super().after_val_epoch(runner, metrics)

    def after_run(self, runner: Runner) -> None:
        """End with an error where there should be a checkpoint and is none.

        Raises:
            InputError: the last write of a checkpoint failed.
        """
        if self.failed:
            raise InputError('; '.join(self.failed.values()))

    def save_now(self, runner: Runner, done: int) -> None:
        """Save where no checkpoint was planned.

        Args:
            runner: the training.
            done: iterations that are done; they name the file, also among those that count epochs.
        """
        name = f'iter_{done}.pth' if self.by_epoch else self.filename_tmpl.format(done)
        there = name not in self.unplanned and self.file_backend.exists(self._path(name))
        meta = dict(epoch=runner.epoch, iter=done)
        self._write(runner, name, meta, {} if there else {UNPLANNED: [*dict.fromkeys([*self.unplanned, name])]})

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save; then remove what is one too many."""
        name = self.filename_tmpl.format(step)
        infos = {PLANNED: self._path(name), UNPLANNED: [one for one in self.unplanned if one != name]}
        kept = [*(one for one in self.keep_ckpt_ids if one != step), step] if self.max_keep_ckpts > 0 else []
        if kept:
            infos[KEPT] = kept  # one too many: a resume removes what a kill leaves
        if not self._write(runner, name, meta, infos):
            return
        self.last_ckpt = self._path(name)
        if kept:
            for old in kept[: -self.max_keep_ckpts]:
                self._remove(self._path(self.filename_tmpl.format(old)))
            self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
            runner.message_hub.update_info(KEPT, [*self.keep_ckpt_ids])

    def _write(self, runner: Runner, name: str, meta: dict, infos: dict[str, Any]) -> bool:
        """Save a checkpoint that holds ``infos`` and name it in the record; False if that failed."""
        hub, path = runner.message_hub, self._path(name)
        before = infos_of(hub, (LAST, KEPT, PLANNED, UNPLANNED))
        for key, value in {LAST: path, **infos}.items():
            hub.update_info(key, value)
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
            restore_infos(hub, (LAST, KEPT, PLANNED, UNPLANNED), before)
            self._fail(runner, 'last', path, error)
            return False
        self.newest, self.done_at = path, meta['iter']
        self.failed.pop('last', None)
        self._wait()
        self._record(runner, path)
        for old in self.unplanned:
            if old != name:
                self._remove(self._path(old))
        self.unplanned = [name] if name in infos.get(UNPLANNED, self.unplanned) else []
        hub.update_info(UNPLANNED, [*self.unplanned])
        return True

    @master_only
    def _record(self, runner: Runner, path: str) -> None:
        """Name the newest checkpoint where mmengine looks for it."""
        record = Path(runner.work_dir) / RECORD
        try:
            write_verified(record, os.fsencode(path))
        except OSError as error:
            if self.may_say(RECORD):
                reason = error.strerror or error
                runner.logger.error(f'{record} could not be written ({reason}); to go on, name {path} with --resume')

    @master_only
    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        """Write what ``published_keys`` names of a checkpoint beside it, with the start of its SHA-256 in its name."""
        content = CheckpointLoader.load_checkpoint(ckpt_path, 'cpu')
        buffer = io.BytesIO()
        torch.save(plain({key: content[key] for key in content if key in self.published_keys}, []), buffer)
        path = f'{os.path.splitext(ckpt_path)[0]}-{hashlib.sha256(buffer.getbuffer()).hexdigest()[:8]}.pth'
        try:
            self.file_backend.put(buffer.getvalue(), path)
        except OSError as error:
            self._fail(runner, 'published', path, error)
        else:
            runner.logger.info(f'The checkpoint ({ckpt_path}) is published to {path}.')

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Save the best; then remove the one before, which mmengine would do first."""
        if not self.save_best:
            return
        old, before = self._best_paths(), infos_of(runner.message_hub, BEST)
        self._set_best_paths(dict.fromkeys(old))
        try:
            super()._save_best_checkpoint(runner, metrics)
        except OSError as error:
            restore_infos(runner.message_hub, BEST, before)
            self._set_best_paths(old)
            self._fail(runner, 'best', f'the best checkpoint in {self.out_dir}', error)
            return
        new = self._best_paths()
        if any(new.values()):
            self.failed.pop('best', None)
        for key, path in old.items():
            if path and new.get(key) and new[key] != path:
                self._remove(path)
        self._set_best_paths({key: path or old.get(key) for key, path in new.items()})

    def _best_paths(self) -> dict[str | None, str | None]:
        """Metric → path of its best checkpoint; None stands for the only metric, whose name 'auto' may not know yet."""
        if hasattr(self, 'best_ckpt_path_dict'):
            return {key: self.best_ckpt_path_dict.get(key) for key in self.key_indicators}
        return {None: self.best_ckpt_path}

    def _set_best_paths(self, paths: dict[str | None, str | None]) -> None:
        if hasattr(self, 'best_ckpt_path_dict'):
            self.best_ckpt_path_dict.update(paths)
        else:
            self.best_ckpt_path = paths[None]

    def _path(self, name: str) -> str:
        return self.file_backend.join_path(self.out_dir, name)

    def _wait(self) -> None:
        """Until the next checkpoint is due by time."""
        self.due_at = time.monotonic() + MINUTE * (self.max_minutes or 0)

    def _wrote(self, last: Any, runner: Runner) -> bool:
        """Whether the checkpoint that is resumed from lies where this training writes and was written there.

        Args:
            last: what the checkpoint says of its own path.
            runner: the training.
        """
        start = runner._load_from if runner._resume else None
        return bool(start) and isinstance(last, str) and same_place(last, start) and self._is_mine(start)

    def _take_over(self, runner: Runner, kept: list, unplanned: list) -> None:
        """Go on with the files of the start before; remove those that it would have removed next."""
        info = runner.message_hub.runtime_info
        self.newest = info[LAST]
        self.last_ckpt = info.get(PLANNED, None if UNPLANNED in info else info[LAST])
        self.unplanned = [name for name in unplanned if isinstance(name, str)]
        if self.max_keep_ckpts > 0:
            steps = [step for step in kept if type(step) is int]
            for old in steps[: -self.max_keep_ckpts]:
                self._remove(self._path(self.filename_tmpl.format(old)))
            self.keep_ckpt_ids.extend(steps)
            runner.message_hub.update_info(KEPT, [*self.keep_ckpt_ids])

    def _is_mine(self, path: Any) -> bool:
        return isinstance(path, str) and same_place(os.path.dirname(path), str(self.out_dir))

    def _remove(self, path: Any) -> None:
        """Remove a checkpoint; what lies elsewhere, has another name or is no plain file stays."""
        if is_main_process() and self._is_mine(path) and not os.path.islink(path):
            name = os.path.basename(path)
            if is_checkpoint_name(name, self.filename_tmpl) and self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _fail(self, runner: Runner, which: str, path: str, error: OSError) -> None:
        """Say what could not be written and what is left, once a minute at most; ``after_run`` says it again."""
        left = self.newest or runner.message_hub.runtime_info.get(LAST)
        self.failed[which] = (
            f'{path} could not be written ({error.strerror or error}); '
            + (f'{left} is the last whole checkpoint' if left else 'there is no whole checkpoint')
            + '; make room on the disk, or name another place with --work-dir'
        )
        if self.may_say(which):
            runner.logger.error(f'{self.failed[which]}. The training goes on')
        self.due_at = time.monotonic() + MINUTE
