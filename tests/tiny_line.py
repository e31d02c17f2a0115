"""The smallest training: a straight line through ten numbers, four batches an epoch, with a checkpoint worth a look."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor

import mmdark.register  # noqa: F401

EPOCH = 4


class Line(BaseModel):
    """A line whose weights depend on the order of the numbers, and ``size`` more numbers to fill a file."""

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.line = torch.nn.Linear(1, 1)
        self.register_buffer('ballast', torch.rand(size))

    def forward(self, inputs: Tensor, mode: str = 'loss') -> dict[str, Tensor] | list[Tensor]:
        """The loss, or what the line says."""
        if mode == 'predict':
            return [self.line(inputs)]
        return {'loss': ((self.line(inputs) - 0.3 * inputs) ** 2).mean()}


class Scores(BaseMetric):
    """One given score after the other."""

    def __init__(self, scores: Sequence[float]) -> None:
        super().__init__()
        self.scores = iter(scores)

    def process(self, data_batch: Any, data_samples: Any) -> None:
        """Needs nothing of a batch."""
        self.results.append(0)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The next score, and its half."""
        score = next(self.scores)
        return {'score': score, 'half': score / 2}


def line_runner(
    work_dir: Path,
    hooks: Sequence[Hook | dict] = (),
    scores: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5),
    size: int = 1,
    epochs: int = 5,
    workers: int = 0,
    **checkpoint: Any,
) -> Runner:
    """A Runner that validates after each epoch; what is not named here goes to its ``WholeCheckpoint``."""
    loader = {
        'batch_size': 3,
        'num_workers': workers,
        'dataset': [{'inputs': torch.tensor([number / 10.0])} for number in range(10)],
        'collate_fn': {'type': 'default_collate'},
    }
    options = {'type': 'WholeCheckpoint', 'by_epoch': False, 'interval': 1, **checkpoint}
    resume = options.pop('resume', False)
    load_from = options.pop('load_from', None)
    accumulative_counts = options.pop('accumulative_counts', 1)
    schedule = options.pop('schedule', [{'type': 'MultiStepLR', 'milestones': [1, 3], 'gamma': 0.5, 'by_epoch': True}])
    return Runner(
        model=Line(size),
        work_dir=str(work_dir),
        train_dataloader={**loader, 'sampler': {'type': 'ResumableSampler', 'shuffle': True}},
        train_cfg={'type': 'ResumableEpochLoop', 'max_epochs': epochs, 'val_interval': 1},
        val_dataloader={**loader, 'sampler': {'type': 'DefaultSampler', 'shuffle': False}},
        val_cfg={'type': 'ValLoop'},
        val_evaluator=Evaluator([Scores(scores)]),
        optim_wrapper={
            'optimizer': {'type': 'SGD', 'lr': 0.05, 'momentum': 0.9},
            'accumulative_counts': accumulative_counts,
        },
        param_scheduler=schedule,
        default_hooks={'checkpoint': options, 'logger': {'type': 'LoggerHook'}},
        custom_hooks=[{'type': 'PlainCheckpoint'}, *hooks],
        load_from=str(resume) if resume else load_from,
        resume=bool(resume),
        log_level='WARNING',
        experiment_name=uuid4().hex,
        randomness={'seed': 3},
        default_scope='mmdet',
    )
