"""The published validation loss, logged beside AP: PAL-2 on dark images."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from mmcv.transforms import Compose
from mmdet.registry import HOOKS
from mmengine.dist import all_reduce, get_dist_info
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from mmdark.errors import InputError

from ..undisturbed import undisturbed
from .save_on_sigterm import obey_the_parent_only
from .strict_checkpoint import detector_of


@HOOKS.register_module()
class ValidationLoss(Hook):
    """Add the loss of the second shot on validation images to the numbers of each validation.

    The published code validates on images stretched to the training size and darkened anew each time, and takes the
    checkpoint where this loss is lowest for the best; its mean is over batches, and over one process. Here the darkness
    is fixed by a seed, and the loss of each image is divided by the positives of that image alone (an image
    without faces counts as 0). So the mean over the images is the same for any batch size and number of processes, and
    the same for the same weights.

    The number goes where AP goes: log, ``scalars.json``, TensorBoard, and ``save_best`` with ``rule='less'``.

    Args:
        input_size: side of the square that each image is stretched to, pixels.
        darken: the step that darkens a stretched image, with a seed; None where the images are dark already.
        part: the place of the dark images in the ``ConcatDataset`` of the validation; else all are taken.
        name: of the number.
        batch_size: images in a forward pass, on each process; the value does not depend on it.
        max_images: take so many images at most, spread evenly over the set; None takes all.
    """

    priority = 'HIGHEST'  # before RuntimeInfoHook passes the numbers on

    def __init__(
        self,
        input_size: int = 640,
        darken: dict | None = None,
        part: int = 1,
        name: str = 'dark/pal2_loss',
        batch_size: int = 4,
        max_images: int | None = None,
    ) -> None:
        if max_images is not None and max_images < 1:
            raise InputError(
                f'ValidationLoss: max_images is {max_images}; name a number from 1, or None for all images'
            )
        self.pipeline = [
            dict(type='LoadPhoto'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='KeepFaces'),
            dict(type='Resize', scale=(input_size, input_size), keep_ratio=False),
            *([] if darken is None else [darken]),
            dict(type='PackDetInputs'),
        ]
        self.part = part
        self.name = name
        self.batch_size = batch_size
        self.max_images = max_images
        self.dataloader: DataLoader | None = None

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add the loss to the numbers of this validation.

        Raises:
            InputError: the validation has no data set in this place.
        """
        if metrics is None:
            return
        model = detector_of(runner)
        with undisturbed(model):
            if self.dataloader is None:
                self.dataloader = self._build(runner)
            metrics[self.name] = self._mean(model)

    def _build(self, runner: Runner) -> DataLoader:
        """The dark images of the validation through the pipeline of this hook; annotations are not read again."""
        loader = runner.val_dataloader
        dataset = copy.copy(_part_of(loader.dataset, self.part))
        dataset.pipeline = Compose(self.pipeline)
        step = -(-len(dataset) // self.max_images) if self.max_images else 1
        built = Runner.build_dataloader(
            dict(
                dataset=Subset(dataset, range(0, len(dataset), step)),
                sampler=dict(type='DefaultSampler', shuffle=False),
                batch_size=self.batch_size,
                num_workers=loader.num_workers,
            ),
            seed=runner.seed,
        )
        obey_the_parent_only(built)
        return built

    def _mean(self, model: nn.Module) -> float:
        """Over the images of all processes; those that fill up the last round count once."""
        rank, world = get_dist_info()
        images = len(self.dataloader.dataset)
        device = next(model.parameters()).device
        total = torch.zeros(2, dtype=torch.float64, device=device)
        for place, loss in enumerate(self._losses(model)):
            if place * world + rank < images:
                total += torch.stack([loss.double(), torch.ones_like(loss, dtype=torch.float64)])
        all_reduce(total)
        return float(total[0] / total[1])

    def _losses(self, model: nn.Module) -> Iterator[torch.Tensor]:
        """The second shot's loss of each image of this process, classification and boxes."""
        shot = getattr(model, 'detector', model).bbox_head.second_shot
        for batch in self.dataloader:
            batch = model.data_preprocessor(batch, training=False)
            _, enhanced = model.extract_feat(batch['inputs'])
            for index, sample in enumerate(batch['data_samples']):
                losses = shot.loss(tuple(level[index : index + 1] for level in enhanced), [sample])
                yield sum(part.sum() for value in losses.values() for part in _listed(value))


def _part_of(dataset: Dataset, part: int) -> Dataset:
    """The data set in place ``part`` of a ``ConcatDataset``; another data set as it is."""
    parts = getattr(dataset, 'datasets', None)
    if parts is None:
        return dataset
    if not 0 <= part < len(parts):
        raise InputError(f'ValidationLoss: part={part}, but the validation has {len(parts)} data sets, counted from 0')
    return parts[part]


def _listed(value: torch.Tensor | list[torch.Tensor]) -> list[torch.Tensor]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
