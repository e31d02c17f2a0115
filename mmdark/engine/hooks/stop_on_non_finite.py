"""Stop training when a loss is no number, before a checkpoint is written over a good one."""

from __future__ import annotations

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmdark.errors import InputError


@HOOKS.register_module()
class StopOnNonFinite(Hook):
    """Name the iteration, the loss terms and the images of the first non-finite loss, and stop.

    It runs before the checkpoint hook, and no checkpoint with a non-finite weight is ever written (in distributed
    training another process may have seen the bad batch), so the last checkpoint stays good.
    """

    priority = 'HIGH'

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]) -> None:
        """Check the losses of the iteration.

        Raises:
            InputError: one of them is infinite or not a number.
        """
        total = outputs.get('loss')
        if total is not None and torch.isfinite(total).all():  # of which every term is a part; one look at the device
            return
        terms = [name for name, value in outputs.items() if 'loss' in name and not torch.isfinite(value).all()]
        if not terms:
            return
        shown = [name for name in terms if name != 'loss'] or terms
        values = ', '.join(f'{name} = {outputs[name].sum().item()}' for name in shown)
        images = ', '.join(str(sample.get('img_path')) for sample in data_batch['data_samples'])
        raise InputError(
            f'iteration {runner.iter + 1}: {values}, on {images}; training stops, the last checkpoint in '
            f'{runner.work_dir} is untouched; look at these images, or resume with a lower learning rate'
        )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to write weights that are no numbers.

        Raises:
            InputError: a weight is infinite or not a number.
        """
        for name, value in checkpoint['state_dict'].items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise InputError(
                    f'iteration {runner.iter + 1}: {name} holds non-finite values; no checkpoint is written, the last '
                    f'one in {runner.work_dir} is untouched; resume from it with a lower learning rate'
                )
