"""Record the config that a training wrote to its work directory; only recorded configs are run with its checkpoints."""

from __future__ import annotations

from pathlib import Path

from mmdet.registry import HOOKS
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdark.config_record import record_config


@HOOKS.register_module()
class RecordConfig(Hook):
    """Record the hash of the config in the work directory."""

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Record the config; if it was not read from a file, mmengine names it after the Runner's timestamp."""
        written = Path(runner.work_dir, Path(runner.cfg.filename or f'{runner.timestamp}.py').name)
        if written.is_file():
            record_config(written)
