"""The data, the classes and the length of ``mmdark finetune``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmdark.apis.finetune_config import choose_classes, iterations_for
from mmdark.converters.data_folder import DataPart, read_data, split_part
from mmdark.errors import InputError
from mmdark.inference.detector import LoadedDetector


def data_for(args: argparse.Namespace, detector: LoadedDetector) -> tuple[dict[str, DataPart], list[str]]:
    """The parts ``train`` and ``val`` of the data, and the classes to train.

    Raises:
        InputError: the data cannot be read, or does not fit this detector.
    """
    data = read_data(args.data, args.images)
    named = read_data(args.val, args.images) if args.val else None
    train, val = data.train, (named.val or named.train) if named else data.val
    there = list(dict.fromkeys(name for part in (train, val) if part for name in part.class_names()))
    if not there:
        raise InputError(
            f'{args.data} has no box in {len(train.document["images"])} images: label them, or name others'
        )
    if unknown := [name for name in args.classes or () if name not in there]:
        raise InputError(f'--classes {unknown[0]}: the data has {", ".join(there)[:120]}; name some of these')
    there = args.classes or there
    known = detector.model.dataset_meta['classes']
    classes = choose_classes(known, _number_of_classes(detector), there)
    if left_out := [name for name in there if name not in classes]:
        print(f'left out, as the detector does not know them: {", ".join(left_out)}')
    if val is None:
        train, val = split_part(train, classes)
    for part, place in ((train, args.data), (val, args.val or args.data)):
        if not part.image_ids(classes):
            raise InputError(f'{place} has no box of {", ".join(classes)[:80]} in {part.images}: label some')
    return dict(train=train, val=val), classes


def _number_of_classes(detector: LoadedDetector) -> int:
    """The number of classes that the head predicts."""
    counts = (getattr(module, 'num_classes', None) for module in detector.model.modules())
    return next((count for count in counts if isinstance(count, int)), 1)


def length_of(
    args: argparse.Namespace, detector: LoadedDetector, train: DataPart, classes: Sequence[str]
) -> tuple[int, int, int]:
    """Images per step, iterations, and the number of images that have boxes."""
    full = len(train.image_ids(classes))
    batch_size = min(args.batch_size or detector.cfg.train_dataloader.batch_size, full)
    return batch_size, args.iterations or iterations_for(full, batch_size), full
