"""Stop the training at the first non-finite loss, before a checkpoint replaces a good one."""

from __future__ import annotations

import math
from functools import partial

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mmdark.engine.optim_wrappers import wrappers_of
from mmdark.engine.scalar_queue import queue_of
from mmdark.errors import InputError

MOST_SKIPPED = 20
"""Maximum consecutive steps a loss scaler may skip; torch's scale starts at 2**16, halves each time, ends below 1."""


@HOOKS.register_module()
class StopOnNonFinite(Hook):
    """Stop at the first non-finite loss; the error names the iteration, the loss terms and the images.

    Checkpoints with non-finite weights are not written either, because another process may have had the bad batch. If
    losses are read later (:class:`WorldRuntimeInfo`), they are checked when they are read. A loss scaler
    (``AmpOptimWrapper``, float16) skips steps with non-finite losses; up to 20 such steps in a row are accepted.
    """

    priority = 'HIGHEST'  # before WorldRuntimeInfo, which reads the losses

    def __init__(self) -> None:
        self.in_a_row = 0

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]) -> None:
        """Check the total ``loss`` of the iteration, or each term if there is no total.

        Raises:
            InputError: the loss is not finite.
        """
        total, queue = outputs.get('loss'), queue_of(runner)
        terms = {name: value.detach() for name, value in outputs.items() if 'loss' in name}
        check = partial(self._check, runner, runner.iter + 1, (data_batch or {}).get('data_samples', []), terms)
        if total is None:
            check(finite=False)
        elif queue is None:
            check(finite=bool(torch.isfinite(total).all()))
        else:
            queue.add({'loss': total}, lambda numbers: check(finite=math.isfinite(numbers['loss'])))

    def _check(self, runner: Runner, iteration: int, samples: list, terms: dict[str, Tensor], finite: bool) -> None:
        """Raise an error if a term is not finite; if ``finite`` (the total is), the terms are not checked."""
        terms = {} if finite else {name: value for name, value in terms.items() if not torch.isfinite(value).all()}
        self.in_a_row = self.in_a_row + 1 if terms else 0
        if not terms or (self.in_a_row <= MOST_SKIPPED and _has_scaler(runner)):
            return
        shown = [name for name in terms if name != 'loss'] or terms
        values = ', '.join(f'{name} = {terms[name].sum().item()}' for name in shown)
        images = ', '.join(str(sample.get('img_path')) for sample in samples)
        raise InputError(
            f'iteration {iteration}: {values}, on {images}; training stops, the last checkpoint in '
            f'{runner.work_dir} is untouched; look at these images, or resume with a lower learning rate'
        )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Reject checkpoints with non-finite weights.

        Raises:
            InputError: a weight, or a loss that was not checked before, is not finite.
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


def _has_scaler(runner: Runner) -> bool:
    wrapper = getattr(runner, 'optim_wrapper', None)
    return wrapper is not None and all(isinstance(each, AmpOptimWrapper) for each in wrappers_of(runner).values())
