"""The command ``mmdark``: one file a subcommand, imported when it is called."""

from .command import COMMANDS, ERROR, INTERRUPTED, SOME_BROKEN, USAGE, load_everything, main

__all__ = ['COMMANDS', 'ERROR', 'INTERRUPTED', 'SOME_BROKEN', 'USAGE', 'load_everything', 'main']
