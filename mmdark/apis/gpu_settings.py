"""Settings for training on a GPU: faster data loading, and DarkISP on the device."""

from __future__ import annotations

import os
from collections.abc import Collection

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from mmengine.config import Config

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
WORKERS = 4
"""``num_workers`` of the training data loader in the configs of mmdark."""
MOST_WORKERS = 16


def settle_device(cfg: Config, given: Collection[str] = ()) -> None:
    """Call :func:`settle_for_gpu` if there is a GPU; the first process prints the changes."""
    if torch.cuda.is_available():
        for line in settle_for_gpu(cfg, given, int(os.environ.get('LOCAL_WORLD_SIZE', '1'))):
            if os.environ.get('RANK', '0') == '0':
                print(line)


def settle_for_gpu(cfg: Config, given: Collection[str] = (), processes: int = 1) -> list[str]:
    """Change a config in place for a GPU, except settings of the user; returns a line per notable change.

    Batches use pinned memory and are copied asynchronously. DarkISP moves from the pipeline to the device. The number
    of workers is set to one less than the cores per process, if the config has mmdark's default of four.

    Args:
        cfg: config of a training or a test.
        given: names of the settings given on the command line.
        processes: number of training processes on this machine.
    """
    for name in LOADERS:
        if cfg.get(name):
            cfg[name].setdefault('pin_memory', True)
    _copy_without_waiting(cfg.model.get('detector') or cfg.model)
    if (cfg.get('randomness') or {}).get('deterministic'):
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # else cuBLAS raises an error
    if not cfg.get('train_dataloader'):
        return []
    return [*_darken_on_device(cfg), *_use_the_cores(cfg, given, processes)]


def _copy_without_waiting(detector: dict) -> None:
    preprocessor = detector.get('data_preprocessor')
    kind = MODELS.get(preprocessor['type']) if preprocessor and 'type' in preprocessor else None
    if preprocessor and isinstance(kind, type) and issubclass(kind, DetDataPreprocessor):
        preprocessor.setdefault('non_blocking', True)


def _darken_on_device(cfg: Config) -> list[str]:
    """Move DarkISP to the data preprocessor if the pipeline ends with DarkISP and PackDarkPair."""
    pipeline = cfg.train_dataloader.dataset.get('pipeline') or []
    if cfg.model.type != 'DAINet' or [step['type'] for step in pipeline[-2:]] != ['DarkISP', 'PackDarkPair']:
        return []
    dark, pack = pipeline[-2:]
    if dark.get('seed') is not None or dark.get('prob', 1.0) < 1 or not dark.get('keep_light', True):
        return []  # on the device every image is darkened, differently each time
    preset = dark.get('preset', 'corrected')
    cfg.model.data_preprocessor = {**(cfg.model.get('data_preprocessor') or {}), 'dark_isp': preset}
    cfg.train_dataloader.dataset.pipeline = [*pipeline[:-2], {**pack, 'type': 'PackDetInputs'}]
    return [f'DarkISP ({preset}) runs on the GPU, not in the data pipeline']


def _use_the_cores(cfg: Config, given: Collection[str], processes: int) -> list[str]:
    """Raise the number of workers: a core takes about 15 ms per photograph, so four are too few for a large GPU."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    workers = min(MOST_WORKERS, here // processes - 1)
    name = 'train_dataloader.num_workers'
    if name in given or cfg.train_dataloader.get('num_workers') != WORKERS or workers <= WORKERS:
        return []
    cfg.train_dataloader.num_workers = workers
    return [f'{name} {WORKERS} -> {workers}, for {here} cores and {processes} process(es); --cfg-options sets another']
