"""Note which config a training wrote beside its checkpoints, so that they are used together and nothing else is run."""

from __future__ import annotations

from pathlib import Path

from mmdet.registry import HOOKS
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdark.config_record import record_config


@HOOKS.register_module()
class RecordConfig(Hook):
    """Record the config that the Runner wrote into its work directory."""

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Record it; a Runner that was built without a file has named it after its start."""
        written = Path(runner.work_dir, Path(runner.cfg.filename or f'{runner.timestamp}.py').name)
        if written.is_file():
            record_config(written)
