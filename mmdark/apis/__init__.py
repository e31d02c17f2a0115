"""What a person calls."""

from .launch import enable_amp, last_checkpoint, load_config, prepare_distributed, run_or_explain

__all__ = ['enable_amp', 'last_checkpoint', 'load_config', 'prepare_distributed', 'run_or_explain']
