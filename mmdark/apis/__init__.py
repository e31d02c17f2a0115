"""What a person calls."""

from .configs import PUBLISHED_MODELS, config_path
from .convert import PARTS, convert_file, key_table, to_mmdark, to_published
from .export import export_weights
from .launch import enable_amp, load_config, prepare_distributed, run_or_explain
from .log_backends import check_backends, enable_tensorboard
from .resume import choose_start, last_checkpoint

__all__ = [
    'PARTS',
    'PUBLISHED_MODELS',
    'check_backends',
    'choose_start',
    'config_path',
    'convert_file',
    'enable_amp',
    'enable_tensorboard',
    'export_weights',
    'key_table',
    'last_checkpoint',
    'load_config',
    'prepare_distributed',
    'run_or_explain',
    'to_mmdark',
    'to_published',
]
