"""Load a detector for inference from a config and weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmdark.apis.convert import to_mmdark
from mmdark.apis.image_pipelines import data_sets
from mmdark.apis.load_config import load_config
from mmdark.compat import read_checkpoint
from mmdark.configs import PUBLISHED_MODELS, find_config, own_configs
from mmdark.engine.hooks.strict_checkpoint import check_finite, check_fits
from mmdark.errors import InputError
from mmdark.models.published_files import identify, packaged_weights, unwrap, weight_path
from mmdark.protocols import OwnWeights

from .weights import config_of, shipped_weights

NO_DETECTORS = ('retinexnet', 'mmdark_retinexnet', 'vgg16_reducedfc', 'mmdark_vgg16_reducedfc', 'torchvision_')
"""Prefixes of the kinds of weight files that contain only a part of a detector, or its initialisation."""
CONFIG_FAULTS = (AssertionError, AttributeError, ImportError, KeyError, TypeError, ValueError)


class LoadedDetector(NamedTuple):
    """A model in evaluation mode with ``dataset_meta['classes']``, its config and the path of its weights."""

    model: nn.Module
    cfg: Config
    weights: Path


def load_detector(
    model: str | Config | None = None, weights: str | Path | None = None, device: str = 'auto'
) -> LoadedDetector:
    """Build a detector and load its weights; weights that do not fit are rejected, never loaded in part.

    Args:
        model: path of a config, name of a config of mmdark, or a config object; None uses the config with which the
            weights were trained.
        weights: a training checkpoint, converted or exported weights, published weights without conversion, or
            ``mmdark://NAME``; None uses the weights that come with mmdark for this model.
        device: see :func:`chosen_device`.

    Raises:
        InputError: model, weights or device cannot be used, or the weights do not fit the model.
    """
    chosen = chosen_device(device)
    if weights is None:
        weights = _shipped_weights_of(model)
    path = weight_path(weights)
    checkpoint = _read(path)
    cfg = _read_config(config_of(path, checkpoint) if model is None else model)
    built = _build(cfg)
    state = checkpoint.get('state_dict', checkpoint)
    has_teacher = any(name.removeprefix('module.').startswith('enhancer.') for name in state)
    check_fits(state, built, str(path))
    check_finite(state, str(path))
    built.load_state_dict({name.removeprefix('module.'): value for name, value in state.items()}, strict=False)
    teacher = getattr(built, 'enhancer', None)
    if isinstance(teacher, OwnWeights) and not has_teacher:
        teacher.needs_weights = teacher.weights_of_its_own
    built.dataset_meta = _dataset_meta(checkpoint.get('meta') or {}, cfg)
    built.cfg = cfg
    return LoadedDetector(built.to(chosen).eval(), cfg, path)


def chosen_device(name: str) -> torch.device:
    """The device for ``'auto'`` (CUDA if available, else CPU), ``'cpu'``, ``'cuda'``, ``'cuda:1'`` or ``'mps'``.

    Raises:
        InputError: the name is unknown, or this machine has no such device.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise InputError(f"device {name!r} is unknown: give 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'") from None
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        there = ', '.join(f'cuda:{index}' for index in range(torch.cuda.device_count()))
        raise InputError(f"device {name!r} is not here ({there or 'torch sees no CUDA'}): give 'auto' or 'cpu'")
    if device.type == 'mps' and not torch.backends.mps.is_available():
        raise InputError(f"device {name!r} is not here: give 'auto' or 'cpu'")
    if device.type not in ('cpu', 'cuda', 'mps'):
        raise InputError(f"device {name!r} cannot be used: give 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'")
    return device


def _shipped_weights_of(model: str | Config | None) -> Path:
    """The weights that come with mmdark for one of its configs; any other config is rejected."""
    if model is None:
        return shipped_weights()
    if isinstance(model, Config):
        raise InputError(f'{model.filename or "this config"} needs its weights: name them (weights=FILE.pth)')
    config = find_config(model).resolve()
    if own_configs().get(config.stem) != config or f'{config.stem}.pth' not in packaged_weights():
        raise InputError(f'{model} needs its weights: name them (weights=FILE.pth)')
    return shipped_weights(config.stem)


def _read(path: Path) -> dict[str, Any]:
    """Read a checkpoint; weights of the published code are converted."""
    checkpoint = read_checkpoint(path, 'cpu')
    file = identify(unwrap(checkpoint))
    if file.kind.startswith(NO_DETECTORS):
        raise InputError(f'{path} is {file.description}, no detector: name the weights of a detector')
    if file.kind not in PUBLISHED_MODELS:
        return checkpoint
    try:
        return dict(meta=dict(converted_from=file.kind), state_dict=to_mmdark(file))
    except InputError as error:
        raise InputError(f'{path}: {error}') from error


def _read_config(model: str | Path | Config) -> Config:
    if isinstance(model, Config):
        return copy.deepcopy(model)
    return load_config(str(model))


def _build(cfg: Config) -> nn.Module:
    if 'model' not in cfg:
        raise InputError(f'config {cfg.filename} describes no model: name the config of a detector')
    if 'module' in cfg.model:
        raise InputError(f'config {cfg.filename} was written by --tta: name the one it was made from, and tta=True')
    try:
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')):
            return MODELS.build(copy.deepcopy(cfg.model))
    except InputError:
        raise
    except CONFIG_FAULTS as error:
        raise InputError(
            f'config {cfg.filename}: its model cannot be built ({_one_line(error)}): take the one that training wrote'
        ) from error


def _dataset_meta(meta: Mapping[str, Any], cfg: Config) -> dict[str, Any]:
    """``dataset_meta`` of the checkpoint, or else of the config's test data set; ``classes`` is empty if unknown."""
    known = meta.get('dataset_meta') or {}
    if not known and cfg.get('test_dataloader'):
        dataset = {**next(data_sets(cfg.test_dataloader.dataset)), 'pipeline': [], 'lazy_init': True}
        try:
            with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')):
                known = DATASETS.build(dataset).metainfo
        except CONFIG_FAULTS as error:
            raise InputError(
                f'config {cfg.filename}: its test data set, which names the classes, cannot be built '
                f'({_one_line(error)}): take the one that training wrote, or weights with meta.dataset_meta'
            ) from error
    known = {str(key).lower(): value for key, value in known.items()}
    classes = known.get('classes') or ()
    return {**known, 'classes': (classes,) if isinstance(classes, str) else tuple(classes)}


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split())
