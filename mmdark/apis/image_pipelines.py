"""The test pipelines of a config, for one view of an image or for several (``--tta``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from mmengine.config import Config, ConfigDict

from mmdark.errors import InputError

PICTURE_STEPS = ('LoadPhoto', 'LoadImageFromFile', 'DarkISP')
"""The steps that read or darken an image, which ``--tta`` keeps."""


def enable_tta(cfg: Config) -> Config:
    """Wrap the model into ``tta_model`` and use the views of ``tta_pipeline``, like mmdet's test tool.

    Each data set keeps its loading steps, so that one can be tested in daylight and another darkened. The config is
    renamed, so that a Runner does not overwrite the config that training wrote into the work directory.

    Raises:
        InputError: the config has no views, or the views cannot be batched.
    """
    if 'module' in cfg.model:
        raise InputError(
            f'--tta: the model of {cfg.filename} is wrapped already, it was written by --tta; leave it out'
        )
    views = view_steps(cfg)
    if cfg.test_dataloader.get('batch_size', 1) != 1 and 'MultiScaleViews' in str(cfg.tta_pipeline):
        raise InputError(
            '--tta: images of several sizes have different views, so they are tested one by one; '
            'add --cfg-options test_dataloader.batch_size=1'
        )
    picture = _picture_steps(cfg.tta_pipeline)
    for dataset in data_sets(cfg.test_dataloader.dataset):
        dataset.pipeline = [*(_picture_steps(dataset.pipeline) or picture), *views]
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    path = Path(cfg.filename)
    return type(cfg)(cfg._cfg_dict, cfg.text, path.with_stem(f'{path.stem}_tta'))


def takes_views(cfg: Config, tta: bool | None) -> bool:
    """Whether to detect in several views: ``tta``, or ``tta_by_default`` of the config if it is None."""
    return bool(cfg.get('tta_by_default')) if tta is None else tta


def view_steps(cfg: Config) -> list[ConfigDict]:
    """The steps of ``tta_pipeline`` after those that read an image.

    Raises:
        InputError: the config has no views.
    """
    for key in ('tta_model', 'tta_pipeline'):
        if not cfg.get(key):
            raise InputError(f'--tta: {cfg.filename} has no {key}; inherit configs/_base_/multi_scale_test.py')
    return cfg.tta_pipeline[len(_picture_steps(cfg.tta_pipeline)) :]


def data_sets(dataset: ConfigDict) -> Iterator[ConfigDict]:
    """Yield the innermost data sets, inside those that concatenate or wrap others."""
    inner = [dataset.dataset] if 'dataset' in dataset else dataset.get('datasets', [])
    for part in inner:
        yield from data_sets(part)
    if not inner:
        yield dataset


def _picture_steps(pipeline: Sequence[ConfigDict]) -> list[ConfigDict]:
    return list(takewhile(lambda step: step['type'] in PICTURE_STEPS, pipeline))
