"""Log the losses of all processes, not those of the first one alone."""

from __future__ import annotations

from mmdet.registry import HOOKS
from mmengine.dist import all_reduce_dict
from mmengine.hooks import RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor


@HOOKS.register_module()
class WorldRuntimeInfo(RuntimeInfoHook):
    """``RuntimeInfoHook`` whose losses are means over the processes, all in one small message an iteration.

    Other hooks go on seeing the losses of their own process.
    """

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict[str, Tensor] | None = None
    ) -> None:
        """Write the means down for the log."""
        if outputs is not None:
            outputs = dict(outputs)
            all_reduce_dict(outputs, 'mean')
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
