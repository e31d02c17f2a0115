"""The pipelines that a config tests with: of one view of an image, or of several (``--tta``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from mmengine.config import Config, ConfigDict

from mmdark.errors import InputError

PICTURE_STEPS = ('LoadPhoto', 'LoadImageFromFile', 'DarkISP')
"""What a data set does to get its picture; ``--tta`` leaves it alone."""


def enable_tta(cfg: Config) -> Config:
    """Wrap the model into ``tta_model`` and let ``tta_pipeline`` make the views of each data set, as mmdet's tool does.

    Each data set keeps the steps that get its picture, so that of several, one may be by day and one in the dark;
    whatever follows comes from ``tta_pipeline``.

    Returns:
        The config under a name of its own: a Runner writes it into the work directory, where the config that training
        wrote must not be lost to it.

    Raises:
        InputError: the config has no views, or views cannot be batched.
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
    return type(cfg)(cfg._cfg_dict, cfg_text=cfg.text, filename=path.with_stem(f'{path.stem}_tta'))


def view_steps(cfg: Config) -> list[ConfigDict]:
    """What ``tta_pipeline`` does with a picture.

    Raises:
        InputError: the config has no views.
    """
    for key in ('tta_model', 'tta_pipeline'):
        if not cfg.get(key):
            raise InputError(f'--tta: {cfg.filename} has no {key}; inherit configs/_base_/multi_scale_test.py')
    return cfg.tta_pipeline[len(_picture_steps(cfg.tta_pipeline)) :]


def data_sets(dataset: ConfigDict) -> Iterator[ConfigDict]:
    """The data sets that have a pipeline, below those that join or wrap others."""
    inner = [dataset.dataset] if 'dataset' in dataset else dataset.get('datasets', [])
    for one in inner:
        yield from data_sets(one)
    if not inner:
        yield dataset


def _picture_steps(pipeline: Sequence[ConfigDict]) -> list[ConfigDict]:
    """The first steps of a pipeline, which get the picture."""
    return list(takewhile(lambda step: step['type'] in PICTURE_STEPS, pipeline))
