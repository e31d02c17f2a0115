"""Checkpoints that are there whole or not at all, and never fewer of them than before."""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.dist import is_main_process, master_only
from mmengine.hooks import CheckpointHook
from mmengine.logging import MessageHub
from mmengine.runner import CheckpointLoader, Runner

from mmdark.compat import plain
from mmdark.errors import InputError
from mmdark.whole_file import clear_parts, write_verified

RECORD = 'last_checkpoint'
"""The file in which mmengine looks for the checkpoint to go on from."""
LAST, KEPT, BEST = 'last_ckpt', 'keep_ckpt_ids', ('best_ckpt', 'best_score')
"""What mmengine's hook keeps in the message hub; names of the best ones may go on with the metric's."""


@HOOKS.register_module()
class WholeCheckpoint(CheckpointHook):
    """``CheckpointHook`` that survives a kill, a full disk and a bad disk at any moment.

    mmengine 0.10.7 removes an old checkpoint before it writes the new one, opens files for writing in their place, and
    ends the training when it cannot. Here files are verified and then renamed (:class:`WholeFileBackend`), the old ones
    go afterwards, and a write that fails is said in one line: the training goes on to the next one, and ends with an
    error only if its last one failed. Beside ``max_keep_ckpts`` checkpoints there must be room for one more.

    Args:
        backend_args: of another file backend; by default files are local and written whole.
        **kwargs: of ``CheckpointHook``; all of them work.
    """

    def __init__(self, *args: Any, backend_args: dict | None = None, **kwargs: Any) -> None:
        local = backend_args is None and '://' not in str(kwargs.get('out_dir')) and not kwargs.get('file_client_args')
        super().__init__(*args, backend_args=dict(backend='whole') if local else backend_args, **kwargs)
        self.failed: dict[str, str] = {}
        self.done_at: int | None = None

    def before_train(self, runner: Runner) -> None:
        """Take away what a killed training left half-written."""
        super().before_train(runner)
        if is_main_process():
            for folder in {Path(runner.work_dir), Path(self.out_dir)}:
                for part in clear_parts(folder) if folder.is_dir() else ():
                    runner.logger.warning(f'{part} was left by a write that was cut off; it is removed')

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
        meta = dict(epoch=runner.epoch, iter=done)
        if self.by_epoch:
            self._write(runner, f'iter_{done}.pth', meta)
        else:
            self._save_checkpoint_with_step(runner, done, meta)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save; then remove what is one too many."""
        if self.max_keep_ckpts <= 0:
            self._write(runner, self.filename_tmpl.format(step), meta)
            return
        kept = [*(one for one in self.keep_ckpt_ids if one != step), step]
        before = _infos(runner.message_hub, KEPT)
        runner.message_hub.update_info(KEPT, kept)  # one too many: a resume removes what a kill leaves
        if not self._write(runner, self.filename_tmpl.format(step), meta):
            _restore_infos(runner.message_hub, KEPT, before)
            return
        for old in kept[: -self.max_keep_ckpts]:
            self._remove(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old)))
        self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
        runner.message_hub.update_info(KEPT, [*self.keep_ckpt_ids])

    def _write(self, runner: Runner, name: str, meta: dict) -> bool:
        """Save a checkpoint and name it in the record; False if that failed."""
        path = self.file_backend.join_path(self.out_dir, name)
        before = _infos(runner.message_hub, LAST)
        runner.message_hub.update_info(LAST, path)
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
            if is_main_process():
                write_verified(Path(runner.work_dir) / RECORD, os.fsencode(path))
        except OSError as error:
            _restore_infos(runner.message_hub, LAST, before)
            self._fail(runner, 'last', path, error)
            return False
        self.last_ckpt, self.done_at = path, meta['iter']
        self.failed.pop('last', None)
        return True

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
        old, before = self._best_paths(), _infos(runner.message_hub, BEST)
        self._set_best_paths(dict.fromkeys(old))
        try:
            super()._save_best_checkpoint(runner, metrics)
        except OSError as error:
            _restore_infos(runner.message_hub, BEST, before)
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

    def _remove(self, path: str) -> None:
        if is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif is_main_process() and self.file_backend.isdir(path):  # deepspeed's checkpoints are folders
            self.file_backend.rmtree(path)

    def _fail(self, runner: Runner, which: str, path: str, error: OSError) -> None:
        """Say once a failure what could not be written and what is left; ``after_run`` says it again."""
        left = self.last_ckpt or runner.message_hub.runtime_info.get(LAST)
        self.failed[which] = (
            f'{path} could not be written ({error.strerror or error}); '
            + (f'{left} is the last whole checkpoint' if left else 'there is no whole checkpoint')
            + '; make room on the disk, or name another place with --work-dir'
        )
        runner.logger.error(f'{self.failed[which]}. The training goes on')


def _infos(hub: MessageHub, prefixes: str | tuple[str, ...]) -> dict[str, Any]:
    """The entries of a message hub whose names begin so."""
    return {name: value for name, value in hub.runtime_info.items() if name.startswith(prefixes)}


def _restore_infos(hub: MessageHub, prefixes: str | tuple[str, ...], before: dict[str, Any]) -> None:
    """Take back what has changed since :func:`_infos`."""
    for name in _infos(hub, prefixes):
        if name not in before:
            del hub.runtime_info[name]
    for name, value in before.items():
        hub.update_info(name, value)
