"""Checks of the sections of a config that the Runner reads."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from mmengine.config import Config
from mmengine.hooks import Hook

from mmdark.errors import InputError

from .config_spelling import check_settings, close_key
from .image_pipelines import data_sets

MMENGINE_HOOKS = {'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'}
NEVER_NONE = {'env_cfg', 'model', 'randomness'}
LOOPS = {f'{part}_{kind}' for part in ('train', 'val', 'test') for kind in ('dataloader', 'cfg')}
SECTIONS = {
    dict: {'default_hooks', 'log_processor', 'optim_wrapper', 'visualizer', *LOOPS, *NEVER_NONE},
    list: {'custom_hooks'},
}


def settle_sections(path: str, cfg: Config) -> None:
    """Check the sections and remove default hooks that are None.

    Raises:
        InputError: a section has a type that the Runner cannot use, a hook has no class, or a setting is misspelt.
    """
    for kind, keys in SECTIONS.items():
        for key in sorted(keys & cfg.keys()):
            if not isinstance(cfg[key], kind) and not (cfg[key] is None and key not in NEVER_NONE):
                raise InputError(f'config {path}: {key} is {cfg[key]!r}: it must be a {kind.__name__}')
    if not isinstance(logging.getLevelName(cfg.get('log_level', 'INFO')), int):
        raise InputError(f'config {path}: log_level is {cfg.log_level!r}: name a level, such as INFO or WARNING')
    cfg.default_hooks = cfg.get('default_hooks') or {}
    for name, hook in list(cfg.default_hooks.items()):
        if hook is None and name not in MMENGINE_HOOKS:  # mmengine accepts None for its own hooks only
            del cfg.default_hooks[name]
        elif not isinstance(hook, (dict, Hook, type(None))) or (isinstance(hook, dict) and 'type' not in hook):
            close = close_key(name, MMENGINE_HOOKS | cfg.default_hooks.keys() - {name}, 0.6)
            hint = f"did you mean '{close}'?" if close else 'name its class, dict(type=…), or None'
            raise InputError(f'config {path}: default_hooks.{name} is no hook; {hint}')
    check_settings(path, cfg)
    _darken_once(path, cfg)


def _darken_once(path: str, cfg: Config) -> None:
    """Reject a config that applies DarkISP both in the pipeline and in the data preprocessor."""
    in_batches = isinstance(cfg.get('model'), dict) and (cfg.model.get('data_preprocessor') or {}).get('dark_isp')
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    if not (in_batches and isinstance(dataset, dict)):
        return
    for part in data_sets(dataset):
        if any(step.get('type') == 'DarkISP' for step in _steps(part.get('pipeline') or [])):
            raise InputError(
                f'config {path}: DarkISP in the training pipeline and model.data_preprocessor.dark_isp would darken '
                'twice; leave out the step, or set model.data_preprocessor=dict(type="DarkPairPreprocessor")'
            )


def _steps(pipeline: Iterable) -> Iterator[dict]:
    """The steps of a pipeline, nested ones included."""
    for step in pipeline:
        if isinstance(step, dict):
            yield step
            yield from _steps(step.get('transforms') or [])
        elif isinstance(step, (list, tuple)):
            yield from _steps(step)
