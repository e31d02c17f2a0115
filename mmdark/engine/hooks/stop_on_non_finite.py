"""Stop training when a loss is no number, before a checkpoint is written over a good one."""

from __future__ import annotations

import math
from functools import partial

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mmdark.engine.optimizers import wrappers_of
from mmdark.engine.scalar_queue import queue_of
from mmdark.errors import InputError

SKIPPED_BY_A_SCALER = 20
"""In a row: torch's loss scaler starts at 2**16 and halves the scale at each of them; these bring it below 1."""


@HOOKS.register_module()
class StopOnNonFinite(Hook):
    """Name the iteration, the loss terms and the images of the first non-finite loss, and stop.

    It runs before the checkpoint hook, and no checkpoint with a non-finite weight is ever written (in distributed
    training another process may have seen the bad batch), so the last checkpoint stays good. Where the losses of many
    iterations are read at once (:class:`WorldRuntimeInfo`), it looks at them then.

    A loss scaler (``AmpOptimWrapper``, float16) expects such losses now and then, and skips their steps: there it takes
    more than 20 of them in a row to stop.
    """

    priority = 'HIGHEST'  # before WorldRuntimeInfo, which reads the losses

    def __init__(self) -> None:
        self.in_a_row = 0

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]) -> None:
        """Check the losses of the iteration, of which ``loss`` is the total.

        Raises:
            InputError: one of them is infinite or not a number.
        """
        total, queue = outputs.get('loss'), queue_of(runner)
        terms = {name: value.detach() for name, value in outputs.items() if 'loss' in name}
        check = partial(self._check, runner, runner.iter + 1, (data_batch or {}).get('data_samples', []), terms)
        if total is None:
            check(finite=False)
        elif queue is None:
            check(finite=bool(torch.isfinite(total).all()))  # every term is a part of it; one look at the device
        else:
            queue.add({'loss': total}, lambda numbers: check(finite=math.isfinite(numbers['loss'])))

    def _check(self, runner: Runner, iteration: int, samples: list, terms: dict[str, Tensor], finite: bool) -> None:
        """Look at the terms of an iteration whose total is not finite, or is not known."""
        terms = {} if finite else {name: value for name, value in terms.items() if not torch.isfinite(value).all()}
        if not terms:
            self.in_a_row = 0
            return
        self.in_a_row += 1
        if self.in_a_row <= SKIPPED_BY_A_SCALER and _is_scaled(runner):
            return
        shown = [name for name in terms if name != 'loss'] or terms
        values = ', '.join(f'{name} = {terms[name].sum().item()}' for name in shown)
        images = ', '.join(str(sample.get('img_path')) for sample in samples)
        raise InputError(
            f'iteration {iteration}: {values}, on {images}; training stops, the last checkpoint in '
            f'{runner.work_dir} is untouched; look at these images, or resume with a lower learning rate'
        )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to write weights that are no numbers.

        Raises:
            InputError: a weight is infinite or not a number, or a loss was that has not been looked at yet.
        """
        queue = queue_of(runner)
        if queue is not None:
            queue.read()
        for name, value in checkpoint['state_dict'].items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise InputError(
                    f'iteration {runner.iter + 1}: {name} holds non-finite values; no checkpoint is written, the last '
                    f'one in {runner.work_dir} is untouched; resume from it with a lower learning rate'
                )


def _is_scaled(runner: Runner) -> bool:
    """Whether a loss scaler skips the steps that such a loss would spoil."""
    wrapper = getattr(runner, 'optim_wrapper', None)
    return wrapper is not None and all(isinstance(each, AmpOptimWrapper) for each in wrappers_of(runner).values())
