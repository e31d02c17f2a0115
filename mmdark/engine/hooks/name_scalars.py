"""A name of its own for each number in the log, where mmengine gives it none, or gives it to two."""

from __future__ import annotations

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn


@HOOKS.register_module()
class NameScalars(Hook):
    """Log the learning rate of every part of the model that has its own, and the times of a validation as its own.

    mmengine logs the learning rate of the first parameter group as ``lr``; a part with another one becomes
    ``PART.lr``, such as ``reflectance_decoder.lr``. And it logs how long a batch took as ``time`` and ``data_time`` in
    training and in validation, which end up in one curve of TensorBoard, over iterations and over epochs; those of a
    validation become ``validation/time`` and ``validation/data_time``, their means over its batches.
    """

    priority = 'NORMAL'  # before LoggerHook writes

    def before_train(self, runner: Runner) -> None:
        """See which parts have a learning rate of their own; the schedulers are built by now."""
        self.groups = named_groups(runner.model, runner.optim_wrapper.optimizer.param_groups)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Log the learning rates."""
        for name, index in self.groups.items():
            rate = runner.optim_wrapper.optimizer.param_groups[index]['lr']
            runner.message_hub.update_scalar(f'train/{name}.lr', rate)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Rename the times."""
        for name in ('time', 'data_time'):
            times = runner.message_hub.log_scalars.pop(f'val/{name}', None)
            if times is not None:
                mean = times.mean(len(runner.val_dataloader))
                runner.message_hub.update_scalar(f'val/validation/{name}', mean)


def named_groups(model: nn.Module, groups: list[dict]) -> dict[str, int]:
    """Names for the parts of a model whose learning rate is not that of the first parameter group.

    Groups that started with the same learning rate are one part. Its name is what the names of its parameters share,
    such as ``reflectance_decoder``, ``l2norm`` or ``bias``, or else the modules it is made of, ``backbone+neck``.

    Args:
        model: whose parameters are in the groups.
        groups: of the optimizer, with ``initial_lr`` where there is a schedule.

    Returns:
        The name of each part, and the place of its first group.
    """
    names = {
        id(parameter): name.removeprefix('module.').removeprefix('detector.').split('.')
        for name, parameter in model.named_parameters()
    }
    parts: dict[float, list[int]] = {}
    for index, group in enumerate(groups):
        parts.setdefault(group.get('initial_lr', group['lr']), []).append(index)
    found = {}
    for part in list(parts.values())[1:]:
        paths = [names[id(parameter)] for index in part for parameter in groups[index]['params']]
        shared = [word for word in paths[0] if all(word in path for path in paths)]
        found[shared[0] if shared else '+'.join(dict.fromkeys(path[0] for path in paths))] = part[0]
    return found
