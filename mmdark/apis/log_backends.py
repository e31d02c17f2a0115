"""Where the numbers and pictures of a training go besides its work directory: TensorBoard, W&B, MLflow."""

from __future__ import annotations

from importlib.util import find_spec

from mmengine.config import Config

from mmdark.errors import InputError

PACKAGES = {
    'TensorboardVisBackend': ('tensorboard', "pip install tensorboard, or 'mmdark[tensorboard]'"),
    'WandbVisBackend': ('wandb', 'pip install wandb'),
    'MLflowVisBackend': ('mlflow', 'pip install mlflow'),
    'ClearMLVisBackend': ('clearml', 'pip install clearml'),
    'NeptuneVisBackend': ('neptune', 'pip install neptune'),
    'DVCLiveVisBackend': ('dvclive', 'pip install dvclive'),
    'AimVisBackend': ('aim', 'pip install aim'),
}
"""mmengine's backend → the package that it needs, and how to get it."""


def enable_tensorboard(cfg: Config) -> None:
    """Write TensorBoard's files, too, beside ``scalars.json``; nothing changes where the config does so already."""
    backends = [dict(backend) for backend in cfg.visualizer.get('vis_backends') or []]
    if not any(backend['type'] == 'TensorboardVisBackend' for backend in backends):
        cfg.visualizer.vis_backends = [*backends, dict(type='TensorboardVisBackend')]


def check_backends(cfg: Config) -> None:
    """Say before anything is loaded which package a backend of the config lacks.

    Raises:
        InputError: it is not installed.
    """
    for backend in (cfg.get('visualizer') or {}).get('vis_backends') or []:
        package, how = PACKAGES.get(backend['type'], (None, None))
        if package is not None and find_spec(package) is None:
            raise InputError(f'{backend["type"]} needs the package {package}, which is not installed: {how}')
