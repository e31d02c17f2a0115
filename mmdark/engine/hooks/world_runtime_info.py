"""Log the losses of all processes, not those of the first one alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_reduce_dict
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mmdark.engine.optimizers import wrappers_of
from mmdark.engine.scalar_queue import ScalarQueue

MOST_WAITING = 1000
"""Numbers are read after so many entries at the latest, whatever the interval of the log."""


@HOOKS.register_module()
class WorldRuntimeInfo(RuntimeInfoHook):
    """``RuntimeInfoHook`` whose losses are means over the processes, all in one small message an iteration.

    Other hooks go on seeing the losses of their own process.

    Each number that Python asks of a GPU makes it wait until the GPU is done, a dozen times an iteration. So on a GPU
    the losses and the norm of the gradients stay there until something reads the log: the logger at its interval, a
    checkpoint, a validation. Then they are read in one go; what is logged is the same.

    Args:
        later: read the numbers of many iterations at once; by default on a GPU, and not on a CPU, where nobody waits.
    """

    def __init__(self, later: bool | None = None) -> None:
        self.later = later
        self.queue: ScalarQueue | None = None

    def before_train(self, runner: Runner) -> None:
        """Choose when the numbers are read."""
        super().before_train(runner)
        device = next(runner.model.parameters()).device.type
        if self.later or (self.later is None and device != 'cpu'):
            self.queue = ScalarQueue()
            for wrapper in wrappers_of(runner).values():
                if wrapper.clip_grad_kwargs:
                    wrapper.clip_func = self._norm_later(wrapper)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict[str, Tensor] | None = None
    ) -> None:
        """Write the means down for the log."""
        if outputs is not None:
            outputs = dict(outputs)
            all_reduce_dict(outputs, 'mean')
        if self.queue is None or outputs is None:
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
            return
        self.queue.add(outputs, partial(_log, runner.message_hub))
        if _logs(runner, batch_idx) or len(self.queue) >= MOST_WAITING:
            self.queue.read()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Have the checkpoint hold the log of all iterations."""
        if self.queue is not None:
            self.queue.read()
            checkpoint['message_hub'] = runner.message_hub.state_dict()

    def before_val(self, runner: Runner) -> None:
        """Read what has waited."""
        if self.queue is not None:
            self.queue.read()
        super().before_val(runner)

    def after_train(self, runner: Runner) -> None:
        """Read what has waited, and leave the optimizers as they were."""
        if self.queue is not None:
            self.queue.read()
            self.queue = None
            for wrapper in wrappers_of(runner).values():
                wrapper.clip_func = getattr(wrapper.clip_func, '__wrapped__', wrapper.clip_func)
        super().after_train(runner)

    def _norm_later(self, wrapper: OptimWrapper) -> Callable[..., None]:
        """The wrapper's clipping, which then has no norm to log, because the queue has it."""
        clip, hub = wrapper.clip_func, wrapper.message_hub

        @wraps(clip)
        def clip_and_note(*args: object, **kwargs: object) -> None:
            norm = clip(*args, **kwargs)
            if isinstance(norm, torch.Tensor):
                self.queue.add({wrapper.grad_name: norm}, partial(_log, hub))

        return clip_and_note


def _log(hub: MessageHub, numbers: dict[str, float]) -> None:
    for name, value in numbers.items():
        hub.update_scalar(f'train/{name}', value)


def _logs(runner: Runner, batch_idx: int) -> bool:
    """Whether the logger writes in this iteration."""
    end = batch_idx + 1 == len(runner.train_dataloader)
    intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
    return end or any(interval > 0 and (batch_idx + 1) % interval == 0 for interval in intervals)
