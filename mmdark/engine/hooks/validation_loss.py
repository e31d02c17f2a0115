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
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from mmdark.errors import InputError

from ..trained_model import detector_of, undisturbed
from .save_on_sigterm import protect_workers


@HOOKS.register_module()
class ValidationLoss(Hook):
    """Add the loss of the second shot on validation images to the metrics of each validation.

    The published code validates on images stretched to the training size and darkened anew each time, and its best
    checkpoint is the one with the lowest loss; its mean is over batches, on one process. Here a seed fixes the
    darkness, and the loss of each image is divided by the positives of that image (0 for an image without faces), so
    that the mean over the images does not depend on the batch size and the number of processes.

    Args:
        input_size: side of the square that each image is stretched to, pixels.
        darken: the transform that darkens a stretched image, with a seed; None where the images are dark already.
        part: index of the dark images in the ``ConcatDataset`` of the validation; another data set is taken whole.
        name: of the metric, for the log and ``save_best`` (with ``rule='less'``).
        batch_size: images in a forward pass on each process.
        max_images: use at most so many images, spread evenly; None uses all.
    """

    priority = 'HIGHEST'  # before RuntimeInfoHook passes the metrics on

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
        """The dark validation images with the pipeline of this hook; annotations are not read again."""
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
        """Over the images of all processes; images that only fill up the last round do not count."""
        rank, world = get_dist_info()
        images = len(self.dataloader.dataset)
        total = torch.zeros(2, dtype=torch.float64, device=next(model.parameters()).device)
        for index, loss in enumerate(self._losses(model)):
            if index * world + rank < images:
                total += torch.stack([loss.double(), torch.ones_like(loss, dtype=torch.float64)])
        all_reduce(total)
        return float(total[0] / total[1])

    def _losses(self, model: nn.Module) -> Iterator[Tensor]:
        """Loss of the second shot of each image of this process, classification plus boxes."""
        head = getattr(model, 'detector', model).bbox_head.second_shot
        for batch in self.dataloader:
            batch = model.data_preprocessor(batch, training=False)
            _, enhanced = model.extract_feat(batch['inputs'])
            for index, sample in enumerate(batch['data_samples']):
                losses = head.loss(tuple(level[index : index + 1] for level in enhanced), [sample])
                yield sum(losses.values())
