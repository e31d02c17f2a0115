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
"""Steps that a loss scaler may skip in a row: torch's starts at 2**16, halves at each and is then below 1."""


@HOOKS.register_module()
class StopOnNonFinite(Hook):
    """Stop with the iteration, the loss terms and the images of the first non-finite loss.

    No checkpoint with a non-finite weight is written either (another process may have seen the bad batch). Where losses
    are read later (:class:`WorldRuntimeInfo`), they are checked then. A loss scaler (``AmpOptimWrapper``, float16)
    skips steps with such losses: it may do so 20 times in a row.
    """

    priority = 'HIGHEST'  # before WorldRuntimeInfo, which reads the losses

    def __init__(self) -> None:
        self.in_a_row = 0

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]) -> None:
        """Check the total ``loss`` of the iteration, or each term if there is no total.

        Raises:
            InputError: it is not finite.
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
        """Raise if a term is not finite; ``finite`` says that the total is."""
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
        """Refuse to write non-finite weights.

        Raises:
            InputError: a weight is not finite, or a loss was that had not been checked yet.
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
