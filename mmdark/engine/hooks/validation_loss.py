"""The validation loss of the published code: PAL-2 loss on dark images, logged together with AP."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from mmcv.transforms import Compose
from mmdet.registry import HOOKS
from mmengine.dist import all_reduce, get_dist_info
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from mmdark.errors import InputError

from ..trained_model import detector_of, undisturbed
from .save_on_sigterm import protect_workers


@HOOKS.register_module()
class ValidationLoss(Hook):
    """Add the second-shot loss on dark validation images to the metrics of each validation.

    The published code resizes validation images to the training size without keeping the aspect ratio, darkens them
    randomly in each validation, averages the loss over batches on one process, and selects the checkpoint with the
    lowest loss. Here the darkening is seeded, and the loss of each image is divided by the number of its positives (0
    for an image without faces), so that the mean over images does not depend on batch size and number of processes.

    Args:
        input_size: width and height to which each image is resized, in pixels.
        darken: config of a seeded transform that darkens the resized image; None if the images are already dark.
        part: index of the dark images in the validation's ``ConcatDataset``; any other data set is used as a whole.
        name: name of the metric, for the log and ``save_best`` (with ``rule='less'``).
        batch_size: number of images per forward pass and process.
        max_images: maximum number of images, evenly spaced in the data set; None uses all.
    """

    priority = 'HIGHEST'  # before RuntimeInfoHook logs the metrics

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
        """Add the loss to the metrics of this validation.

        Raises:
            InputError: the validation has no data set with the index ``part``.
        """
        if metrics is None:
            return
        model = detector_of(runner)
        with undisturbed(model):
            if self.dataloader is None:
                self.dataloader = self._build(runner)
            metrics[self.name] = self._mean(model)

    def _build(self, runner: Runner) -> DataLoader:
        """Data loader of the dark validation images with this hook's pipeline; annotations are not read again."""
        loader = runner.val_dataloader
        parts = getattr(loader.dataset, 'datasets', [loader.dataset] * (self.part + 1))
        if not 0 <= self.part < len(parts):
            raise InputError(
                f'ValidationLoss: part={self.part}, but the validation has {len(parts)} data sets, counted from 0'
            )
        dataset = copy.copy(parts[self.part])
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
        protect_workers(built)
        return built

    def _mean(self, model: nn.Module) -> float:
        """Mean loss over the images of all processes; duplicates that pad the last round are not counted."""
        rank, world = get_dist_info()
        images = len(self.dataloader.dataset)
        total = torch.zeros(2, dtype=torch.float64, device=next(model.parameters()).device)
        for index, loss in enumerate(self._losses(model)):
            if index * world + rank < images:
                total += torch.stack([loss.double(), torch.ones_like(loss, dtype=torch.float64)])
        all_reduce(total)
        return float(total[0] / total[1])

    def _losses(self, model: nn.Module) -> Iterator[Tensor]:
        """Second-shot loss (classification plus boxes) of each image of this process."""
        head = getattr(model, 'detector', model).bbox_head.second_shot
        for batch in self.dataloader:
            batch = model.data_preprocessor(batch, training=False)
            _, enhanced = model.extract_feat(batch['inputs'])
            for index, sample in enumerate(batch['data_samples']):
                losses = head.loss(tuple(level[index : index + 1] for level in enhanced), [sample])
                yield sum(losses.values())
