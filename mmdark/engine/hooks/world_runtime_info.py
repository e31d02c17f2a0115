"""Log the losses averaged over all processes instead of those of the first process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps

from mmdet.registry import HOOKS
from mmengine.dist import all_reduce_dict
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mmdark.engine.optim_wrappers import wrappers_of
from mmdark.engine.scalar_queue import ScalarQueue

MOST_WAITING = 1000
"""Maximum number of queued entries before they are read, regardless of the log interval."""


@HOOKS.register_module()
class WorldRuntimeInfo(RuntimeInfoHook):
    """``RuntimeInfoHook`` that logs losses averaged over all processes, with one ``all_reduce`` per iteration.

    Reading a number from a GPU makes the CPU wait, and mmengine does this about a dozen times per iteration. Losses and
    gradient norms therefore stay on the GPU until the logger, a checkpoint or a validation needs them, and are then
    read together. The logged values do not change.

    Args:
        later: read the numbers of many iterations together; by default only on a GPU.
    """

    def __init__(self, later: bool | None = None) -> None:
        self.later = later
        self.queue: ScalarQueue | None = None

    def before_train(self, runner: Runner) -> None:
        """Create the queue if numbers are read later."""
        super().before_train(runner)
        on_gpu = next(runner.model.parameters()).device.type != 'cpu'
        if on_gpu if self.later is None else self.later:
            self.queue = ScalarQueue()
            for wrapper in wrappers_of(runner).values():
                if wrapper.clip_grad_kwargs:
                    wrapper.clip_func = _queue_norm(wrapper, self.queue)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict[str, Tensor] | None = None
    ) -> None:
        """Average the losses over the processes and log them."""
        if outputs is not None:
            outputs = dict(outputs)  # a copy, so that other hooks see the losses of their own process
            all_reduce_dict(outputs, 'mean')
        if self.queue is None or outputs is None:
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
            return
        self.queue.add(outputs, partial(_log, runner.message_hub))
        if _is_logged(runner, batch_idx) or len(self.queue) >= MOST_WAITING:
            self.queue.read()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Read the queue and store the complete log in the checkpoint."""
        if self.queue is not None:
            self.queue.read()
            checkpoint['message_hub'] = runner.message_hub.state_dict()

    def before_val(self, runner: Runner) -> None:
        """Log the queued numbers."""
        if self.queue is not None:
            self.queue.read()
        super().before_val(runner)

    def after_train(self, runner: Runner) -> None:
        """Log the queued numbers and restore the gradient clipping of the optimizers."""
        if self.queue is not None:
            self.queue.read()
            self.queue = None
            for wrapper in wrappers_of(runner).values():
                wrapper.clip_func = getattr(wrapper.clip_func, '__wrapped__', wrapper.clip_func)
        super().after_train(runner)


def _queue_norm(wrapper: OptimWrapper, queue: ScalarQueue) -> Callable[..., None]:
    """Wrap the gradient clipping to queue the norm and return None, because the wrapper would read a returned norm."""
    clip, hub = wrapper.clip_func, wrapper.message_hub

    @wraps(clip)
    def clip_and_queue(*args: object, **kwargs: object) -> None:
        norm = clip(*args, **kwargs)
        if isinstance(norm, Tensor):
            queue.add({wrapper.grad_name: norm}, partial(_log, hub))

    return clip_and_queue


def _log(hub: MessageHub, numbers: dict[str, float]) -> None:
    for name, value in numbers.items():
        hub.update_scalar(f'train/{name}', value)


def _is_logged(runner: Runner, batch_idx: int) -> bool:
    is_last = batch_idx + 1 == len(runner.train_dataloader)
    intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
    return is_last or any(interval > 0 and (batch_idx + 1) % interval == 0 for interval in intervals)
