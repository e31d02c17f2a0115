"""What a person calls."""

from .configs import PUBLISHED_MODELS, config_path
from .convert import PARTS, convert_file, key_table, to_mmdark, to_published
from .launch import enable_amp, last_checkpoint, load_config, prepare_distributed, run_or_explain

__all__ = [
    'PARTS',
    'PUBLISHED_MODELS',
    'config_path',
    'convert_file',
    'enable_amp',
    'key_table',
    'last_checkpoint',
    'load_config',
    'prepare_distributed',
    'run_or_explain',
    'to_mmdark',
    'to_published',
]
