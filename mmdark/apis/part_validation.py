"""Validate on a part of the images, the same part in daylight and in the dark."""

from __future__ import annotations

from mmengine.config import Config, ConfigDict

from mmdark.errors import InputError


def validate_on(cfg: Config, images: int) -> None:
    """Change the config to validate on at most ``images`` images of each data set, spread evenly over it.

    The metrics, including the official ones of WIDER FACE, count only the faces of these images.

    Raises:
        InputError: there is no validation or no image, or a metric also counts images that are left out.
    """
    if images < 1:
        raise InputError(f'--val-images {images}: name a number from 1, or leave it out to validate on all images')
    if not cfg.get('val_dataloader') or not cfg.get('val_evaluator'):
        raise InputError(f'--val-images: {cfg.filename} has no validation; leave it out')
    cfg.val_dataloader = ConfigDict(cfg.val_dataloader, dataset=_part(cfg.val_dataloader.dataset, images))
    evaluator = cfg.val_evaluator
    if isinstance(evaluator, (list, tuple)):
        cfg.val_evaluator = [_counts_tested_only(metric) for metric in evaluator]
    elif 'metrics' in evaluator:
        metrics = evaluator.metrics if isinstance(evaluator.metrics, (list, tuple)) else [evaluator.metrics]
        cfg.val_evaluator = ConfigDict(evaluator, metrics=[_counts_tested_only(metric) for metric in metrics])
    else:
        cfg.val_evaluator = _counts_tested_only(evaluator)


def _part(dataset: ConfigDict, images: int) -> ConfigDict:
    """The config with ``spread_part`` around each innermost data set."""
    if 'datasets' in dataset:
        return ConfigDict(dataset, datasets=[_part(one, images) for one in dataset.datasets])
    if 'dataset' in dataset:
        return ConfigDict(dataset, dataset=_part(dataset.dataset, images))
    return ConfigDict(type='spread_part', dataset=dataset, images=images)


def _counts_tested_only(metric: ConfigDict) -> ConfigDict:
    if metric.get('ann_file'):
        raise InputError(
            f'--val-images: {metric.type} counts all images of ann_file={metric.ann_file}; leave ann_file out of the '
            'evaluator, which then takes the annotation from the data set'
        )
    return ConfigDict(metric, tested_only=True) if metric.type == 'WiderFaceMetric' else metric
