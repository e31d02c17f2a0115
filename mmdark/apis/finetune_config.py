"""Change a training config so that it continues with the user's data in COCO format."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config, ConfigDict

from mmdark.errors import InputError
from mmdark.models.published_files import PACKAGED

from .config_files import RUNNER_KEYS, TOOL_KEYS
from .image_pipelines import data_sets

PASSES, FEWEST, MOST = 30, 300, 4000
"""Number of epochs, and minimum and maximum number of iterations."""
LEARNING_RATE = 0.1
"""Factor on the config's learning rate, which is meant for training from the beginning."""
BACKBONE_RATE = 0.25
"""Factor on the learning rate of the backbone, if the config does not set one."""
FIRST = dict(type='ValidateFirst')
VALIDATIONS = 5
"""Maximum number of validations, in addition to the one before the training."""
OF_OTHER_DATA = ('validation_loss', 'draw_train_panels')
"""Default hooks for other data, which are removed."""
LOAD: list[dict[str, Any]] = [
    dict(type='LoadImageFromFile', _scope_='mmdark'),
    dict(type='Resize', scale_factor=1.0, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]
"""Test pipeline if the config has none."""
DARKNESS = dict(type='DarkISP', preset='corrected', seed=0, keep_light=False)
"""Darkening of the dark validation."""


class CocoPart(NamedTuple):
    """A COCO file and the folder of its images, to which each ``file_name`` is relative."""

    ann_file: Path
    images: Path


def iterations_for(images: int, batch_size: int) -> int:
    """Iterations of :data:`PASSES` epochs, within limits.

    Example:
        >>> iterations_for(50, 16), iterations_for(1000, 16), iterations_for(5000, 16)
        (300, 1875, 4000)
    """
    return min(max(math.ceil(PASSES * images / batch_size), FEWEST), MOST)


def choose_classes(known: Sequence[str], number: int, there: Sequence[str]) -> list[str]:
    """The classes to train, in the order of the detector's labels.

    Args:
        known: names of the detector's classes; may be empty.
        number: number of classes that its head predicts.
        there: names of the classes of the data.

    Raises:
        InputError: the numbers of classes differ and no name occurs in both.

    Example:
        >>> choose_classes(['face'], 1, ['face', 'hand']), choose_classes(['face'], 1, ['head'])
        (['face'], ['head'])
    """
    if set(known) & set(there):
        return list(known)
    if len(there) == number:
        return list(there)
    raise InputError(
        f'the data has the classes {", ".join(there)[:80]}, the detector knows {number}: '
        f'{", ".join(known)[:80] or "unnamed"}; name as many with --classes, or another detector with --model and '
        '--weights'
    )


def finetune_config(
    cfg: Config,
    weights: Path,
    train: CocoPart,
    val: CocoPart,
    classes: Sequence[str],
    batch_size: int,
    iterations: int,
    images: int,
) -> None:
    """Change the config of a detector in place into a training from ``weights`` with the given data.

    The pipelines of the detector are kept. Validation uses the original and the darkened images.

    Args:
        cfg: modified in place.
        weights: file of the weights to start from.
        train: the training part.
        val: the validation part.
        classes: see :func:`choose_classes`.
        batch_size: images per step.
        iterations: number of training iterations.
        images: number of training images with boxes.
    """
    for name in cfg.keys() - RUNNER_KEYS - TOOL_KEYS - {'input_size'}:
        cfg.pop(name)  # variables; the sections already contain their values
    cfg.load_from, cfg.resume = str(weights), False
    _download_nothing(cfg.model)
    _set_data(cfg, train, val, classes, batch_size)
    _set_schedule(cfg, iterations, epochs=math.ceil(iterations / math.ceil(images / batch_size)))
    if FIRST not in (custom := list(cfg.get('custom_hooks') or [])):  # otherwise it is already a fine-tuning config
        cfg.custom_hooks = [*custom, FIRST]
        cfg.optim_wrapper.optimizer.lr *= LEARNING_RATE
    hooks = cfg.default_hooks
    for name in OF_OTHER_DATA:
        hooks.pop(name, None)
    hooks.checkpoint.update(
        by_epoch=False, interval=iterations, max_minutes=5, max_keep_ckpts=1, save_best=None, rule=None
    )
    hooks.live_progress = dict(type='LiveProgress', plain_interval=max(1, iterations // 20))
    hooks.logger.update(interval=10)
    cfg.log_level = 'WARNING'


def _set_data(cfg: Config, train: CocoPart, val: CocoPart, classes: Sequence[str], batch_size: int) -> None:
    """The three data loaders and the metric."""
    loader = cfg.train_dataloader
    pipeline = next(data_sets(loader.dataset)).get('pipeline') or []
    leaf = _coco(train, classes, pipeline, filter_cfg=dict(filter_empty_gt=True))
    loader.update(batch_size=batch_size, sampler=dict(type='ResumableSampler', shuffle=True))
    loader.dataset = _with_leaf(loader.dataset, leaf)
    loader.pop('batch_sampler', None)
    loader.pop('drop_last', None)
    light = _steps_of_a_test(cfg)
    dark = [light[0], DARKNESS, *light[1:]]
    parts = [_coco(val, classes, steps, test_mode=True) for steps in (light, dark)]
    cfg.val_dataloader = ConfigDict(
        batch_size=1,
        num_workers=min(loader.num_workers, 2),
        persistent_workers=bool(loader.num_workers),
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='LazyConcatDataset', pipeline=light, datasets=parts),
    )
    metric = dict(type='CocoFaceMetric', metric='bbox', proposal_nums=(100, 300, 1000), prefix='coco')
    cfg.val_evaluator = ConfigDict(
        type='HeadedDatasetsEvaluator', dataset_prefixes=['day', 'dark'], metrics=[metric, metric]
    )
    cfg.val_cfg, cfg.test_cfg = ConfigDict(type='ValLoop'), ConfigDict(type='TestLoop')
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    if cfg.get('tta_pipeline'):
        cfg.tta_pipeline = _packing_the_truth(cfg.tta_pipeline)


def _coco(part: CocoPart, classes: Sequence[str], pipeline: Sequence[Any], **more: Any) -> ConfigDict:
    return ConfigDict(
        type='CheckedCocoDataset',
        ann_file=str(part.ann_file),
        data_prefix=dict(img=str(part.images)),
        metainfo=dict(classes=tuple(classes)),
        pipeline=list(pipeline),
        **more,
    )


def _with_leaf(dataset: ConfigDict, leaf: ConfigDict) -> ConfigDict:
    """Replace the innermost data sets by ``leaf``; wrappers (for Mosaic) are kept."""
    if 'datasets' in dataset:
        return leaf
    if 'dataset' in dataset:
        return ConfigDict(dataset, dataset=_with_leaf(dataset.dataset, leaf))
    return leaf


def _steps_of_a_test(cfg: Config) -> list[Any]:
    """The pipeline of the first test data set, without DarkISP."""
    tested = next(data_sets(cfg.test_dataloader.dataset)) if cfg.get('test_dataloader') else {}
    steps = [step for step in tested.get('pipeline') or LOAD if step['type'] != 'DarkISP']
    return _packing_the_truth(steps)


def _packing_the_truth(steps: Any) -> Any:
    """The steps, changed so that they also pack the boxes of the annotation file, for the metric."""
    if isinstance(steps, (list, tuple)):
        return [_packing_the_truth(step) for step in steps]
    if steps['type'] == 'PackDetInputs':
        keys = steps.get('meta_keys') or ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
        return dict(steps, meta_keys=tuple(dict.fromkeys([*keys, 'instances'])))
    if 'transforms' in steps:
        return dict(steps, transforms=_packing_the_truth(steps['transforms']))
    return steps


def _set_schedule(cfg: Config, iterations: int, epochs: int) -> None:
    """Set a low learning rate that rises during the first tenth and then falls along a cosine."""
    cfg.train_cfg = ConfigDict(
        type='ResumableEpochLoop', max_epochs=epochs, max_iters=iterations, val_interval=math.ceil(epochs / VALIDATIONS)
    )
    if 'constructor' not in cfg.optim_wrapper:
        settings = cfg.optim_wrapper.setdefault('paramwise_cfg', ConfigDict())
        settings.setdefault('custom_keys', ConfigDict()).setdefault('backbone', dict(lr_mult=BACKBONE_RATE))
    warm_up = min(max(1, iterations // 10), 500)
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=warm_up),
        dict(
            type='CosineAnnealingLR',
            by_epoch=False,
            begin=warm_up,
            end=max(iterations, warm_up + 1),
            T_max=max(1, iterations - warm_up),
            eta_min_ratio=0.01,
        ),
    ]


def _download_nothing(model: Any) -> None:
    """Remove the weight files from all parts of a model, because all weights come from the checkpoint."""
    if isinstance(model, (list, tuple)):
        for part in model:
            _download_nothing(part)
    elif isinstance(model, dict):
        given = model.get('init_cfg')
        inits = [init for init in (given if isinstance(given, (list, tuple)) else [given]) if init]
        kept = [init for init in inits if not _is_file(init)]
        if kept != inits:
            model['init_cfg'] = kept or None
        for key, part in model.items():
            if key != 'init_cfg':
                _download_nothing(part)


def _is_file(init: Mapping[str, Any]) -> bool:
    """Whether an ``init_cfg`` names a file that does not come with mmdark."""
    return 'checkpoint' in init and not str(init['checkpoint']).startswith(PACKAGED)
