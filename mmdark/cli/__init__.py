"""The command ``mmdark``: one file a subcommand, imported when it is called."""

from .command import COMMANDS, ERROR, INTERRUPTED, SOME_BROKEN, TERMINATED, USAGE, main, register_everything, run_tool

__all__ = [
    'COMMANDS',
    'ERROR',
    'INTERRUPTED',
    'SOME_BROKEN',
    'TERMINATED',
    'USAGE',
    'main',
    'register_everything',
    'run_tool',
]
