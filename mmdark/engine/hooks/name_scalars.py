"""Log learning rates and times under distinct names."""

from __future__ import annotations

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn


@HOOKS.register_module()
class NameScalars(Hook):
    """Log the learning rate of each part of the model that has its own, and validation times separately.

    mmengine logs only the rate of the first parameter group, as ``lr``. This hook also logs the others as ``PART.lr``,
    such as ``reflectance_decoder.lr``. mmengine logs ``time`` and ``data_time`` of training and validation batches
    under the same names. This hook logs those of a validation, averaged over its batches, as ``validation/time`` and
    ``validation/data_time``.
    """

    priority = 'NORMAL'  # before LoggerHook writes

    def before_train(self, runner: Runner) -> None:
        """Find the parts with their own learning rate."""
        self.groups = named_groups(runner.model, runner.optim_wrapper.optimizer.param_groups)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Log the learning rates."""
        for name, index in self.groups.items():
            rate = runner.optim_wrapper.optimizer.param_groups[index]['lr']
            runner.message_hub.update_scalar(f'train/{name}.lr', rate)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Rename the times of the validation."""
        for name in ('time', 'data_time'):
            times = runner.message_hub.log_scalars.pop(f'val/{name}', None)
            if times is not None:
                mean = times.mean(len(runner.val_dataloader))
                runner.message_hub.update_scalar(f'val/validation/{name}', mean)


def named_groups(model: nn.Module, groups: list[dict]) -> dict[str, int]:
    """Name of each part whose learning rate differs from the first parameter group's → index of one of its groups.

    Groups with the same initial rate form one part. It is named after a word that the names of all its parameters
    contain, such as ``reflectance_decoder`` or ``bias``, or else after its top-level modules, ``backbone+neck``.
    """
    words = {
        id(parameter): name.removeprefix('module.').removeprefix('detector.').split('.')
        for name, parameter in model.named_parameters()
    }
    by_rate: dict[float, list[int]] = {}
    for index, group in enumerate(groups):
        by_rate.setdefault(group.get('initial_lr', group['lr']), []).append(index)
    named = {}
    for indices in list(by_rate.values())[1:]:
        paths = [words[id(parameter)] for index in indices for parameter in groups[index]['params']]
        shared = [word for word in paths[0] if all(word in path for path in paths)]
        named[shared[0] if shared else '+'.join(dict.fromkeys(path[0] for path in paths))] = indices[0]
    return named
