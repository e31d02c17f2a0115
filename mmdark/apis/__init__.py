"""The public functions of mmdark."""

import mmdark.register  # noqa: F401  builds the bridges first

# isort: split
import importlib

from mmdark.configs import PUBLISHED_MODELS, config_path, find_config
from mmdark.errors import run_or_explain

from .convert import PARTS, convert_file, key_table, to_mmdark, to_published
from .export import export_weights
from .gpu_settings import settle_device, settle_for_gpu
from .image_pipelines import PICTURE_STEPS, data_sets, enable_tta, view_steps
from .launch import (
    enable_amp,
    enable_tensorboard,
    in_bfloat16,
    leave_distributed,
    make_work_dir,
    prepare_distributed,
    run_and_leave,
)
from .load_config import load_config
from .part_validation import validate_on
from .resume import choose_start, last_checkpoint, note_start
from .work_dir_lock import only_training

__all__ = [
    'PARTS',
    'PICTURE_STEPS',
    'PUBLISHED_MODELS',
    'choose_start',
    'config_path',
    'convert_file',
    'data_sets',
    'enable_amp',
    'enable_tensorboard',
    'enable_tta',
    'export_weights',
    'find_config',
    'in_bfloat16',
    'key_table',
    'last_checkpoint',
    'leave_distributed',
    'load_config',
    'make_work_dir',
    'note_start',
    'only_training',
    'prepare_distributed',
    'run_and_leave',
    'run_or_explain',
    'settle_device',
    'settle_for_gpu',
    'to_mmdark',
    'to_published',
    'validate_on',
    'view_steps',
]


def __getattr__(name: str) -> object:
    """Import ``Inferencer`` on first use, because trainings and tests do not need it."""
    if name in ('FaceInferencer', 'Inferencer'):
        return importlib.import_module('mmdark.inference').Inferencer
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
