"""The first three steps of trainings, alone or as one of two processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmdark.adaptation import DAINet
from mmdark.apis import leave_distributed, prepare_distributed
from mmdark.engine.trained_model import detector_of
from tests.engine.world_losses import Record, config

STEPS = 3
CHANNELS_LAST = {'custom_hooks': [{'type': 'ChannelsLast'}]}
COMPILED = {'custom_hooks': [{'type': 'CompileParts', 'backend': 'eager'}, {'type': 'ChannelsLast'}]}
ACCUMULATED = {'optim_wrapper.accumulative_counts': 2}
BFLOAT16 = {'optim_wrapper.type': 'Bfloat16OptimWrapper', 'optim_wrapper.optimizer.lr': 0.0}
"""Without learning: what bfloat16 rounds off in one step would change the weights of the next one."""

ALONE = {'float64': {}, 'float64, accumulated': ACCUMULATED, 'float32': {}, 'bfloat16': BFLOAT16}
"""Trainings of one process: precision and options."""
TOGETHER = {
    'float64': {},
    'float64, channels last, compiled, unused parameters looked for': {**COMPILED, 'find_unused_parameters': True},
    'float64, accumulated, channels last': {**ACCUMULATED, **CHANNELS_LAST},
    'float32': {},
    'bfloat16, channels last': {**BFLOAT16, **CHANNELS_LAST},
}
"""Trainings of two processes. Each has the name of one of :data:`ALONE`, and what should make no difference."""


class RecordGradients(Hook):
    """Keeps the gradients of each step as the optimizer gets them."""

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.gradients: list[dict[str, Tensor]] = []

    def before_train(self, runner: Runner) -> None:
        """Look into the optimizer's steps."""
        named = [(name, weight) for name, weight in detector_of(runner).named_parameters() if weight.requires_grad]

        def keep(*_: object) -> None:
            self.gradients.append({name: weight.grad.clone().contiguous() for name, weight in named})

        runner.optim_wrapper.optimizer.register_step_pre_hook(keep)


@contextmanager
def double() -> Iterator[None]:
    """Compute in float64, also what mmdark computes in float32 whatever the precision; images come in float32."""
    build, loss = Runner.build_model, DAINet.loss

    def build_double(runner: Runner, model: Any) -> torch.nn.Module:
        return build(runner, model).double()

    def loss_in_double(model: DAINet, inputs: dict[str, Tensor], samples: list) -> dict[str, Tensor]:
        with patch.object(Tensor, 'float', Tensor.double):
            return loss(model, {name: images.double() for name, images in inputs.items()}, samples)

    with patch.object(Runner, 'build_model', build_double), patch.object(DAINet, 'loss', loss_in_double):
        yield


def first_steps(
    root: str, work_dir: str, name: str, options: dict[str, Any], launcher: str = 'none'
) -> dict[str, list]:
    """Train for three steps on four images each.

    Returns:
        ``losses`` of each iteration as the log shows them, ``gradients`` of each step as the optimizer gets them.
    """
    own = {
        'input_size': 64,
        'train_dataloader.batch_size': 4 if launcher == 'none' else 2,
        'default_hooks.checkpoint.interval': 1000,
        'default_hooks.checkpoint.save_last': False,
        'train_cfg.max_iters': STEPS * options.get('optim_wrapper.accumulative_counts', 1),
    }
    cfg = config(root, work_dir, {**own, **options})
    prepare_distributed(cfg, launcher)
    record, record_gradients = Record(), RecordGradients()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with double() if name.startswith('float64') else nullcontext():
        runner = Runner.from_cfg(cfg)
        runner.register_hook(record)
        runner.register_hook(record_gradients)
        runner.train()
    torch.set_num_threads(threads)
    return {'losses': record.losses, 'gradients': record_gradients.gradients}


def main(root: str, folder: str) -> None:
    """As one of two processes."""
    found = {case: first_steps(root, f'{folder}/work', case, given, 'pytorch') for case, given in TOGETHER.items()}
    torch.save(found, f'{folder}/steps_{os.environ["RANK"]}.pt')
    leave_distributed()
