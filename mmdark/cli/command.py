"""From ``mmdark COMMAND ...`` to the file of the command.

This file does not import torch or MMDetection, so that help is fast and ``mmdark doctor`` works if they are missing.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

import mmdark
from mmdark.errors import INTERRUPTED, TERMINATED, InputError, Terminated, explanation, one_line, run_or_explain

COMMANDS = {
    'detect': 'find faces in images, folders, videos or the picture of a webcam',
    'merge': 'join the shares of detect --shard',
    'darken': 'see what DarkISP makes of a photograph',
    'finetune': 'adapt the detector to your own data: COCO, VOC, YOLO or WIDER FACE',
    'train': 'train a detector',
    'test': 'measure the AP of a detector',
    'config': 'list the configs that come with mmdark, or write one out to change it',
    'convert': "published weights to mmdark's, or back",
    'export': 'weights for others: .pth, .safetensors or ONNX',
    'doctor': 'say what is installed, what is missing, and what to do about it',
}
"""Subcommand → its description."""

ERROR = 1
"""Exit status: one ``error:`` line says why."""
USAGE = 2
"""Exit status: no such command or option."""
SOME_BROKEN = 3
"""Exit status: some images could not be read, all others were."""

HELP = """\
usage: mmdark COMMAND ...        mmdark COMMAND --help says more

Find faces in photographs that were taken in the dark.

{commands}

Begin with
  mmdark doctor                                  what is here, what is missing
  mmdark detect night/ --out-dir out             boxes in out/results.json, pictures in out/pictures/
  mmdark train dsfd_dark_wider                   the main config, by its name

Without --weights FILE the lite detector that comes with mmdark looks at your photographs.

Exit status: 0 all well; 1 an error, in one line; 2 no such command or option; 3 some images could not be read,
all others were; 130 ended by Ctrl-C, 143 by SIGTERM, what was done is kept."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``mmdark`` with these arguments, those of the process by default.

    Returns:
        The exit status.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')  # file names may contain any bytes
    try:
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()  # raises BrokenPipeError if the reader is gone
    except Terminated:
        print('ended by SIGTERM', file=sys.stderr)
        return TERMINATED
    except KeyboardInterrupt:
        print('ended by Ctrl-C', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except Exception as error:
        line = explanation(error)
        if line is None:
            raise
        print(f'error: {one_line(line)}', file=sys.stderr)
        return ERROR
    return status


def _run(given: list[str]) -> int:
    if given[:1] == ['help']:
        given = [*given[1:2], '--help']
    if not given or given[0] in ('-h', '--help'):
        print(HELP.format(commands='\n'.join(f'  {name:<11}{does}' for name, does in COMMANDS.items())))
        return 0
    if given[0] in ('-V', '--version'):
        print(f'mmdark {mmdark.__version__}')
        return 0
    if given[0] not in COMMANDS:
        print(f'error: {_no_command(given[0])}', file=sys.stderr)
        return USAGE
    return import_module(f'mmdark.cli.{given[0]}').run(given[1:])


def run_tool(name: str) -> None:
    """Run a subcommand with the arguments of the process, for ``tools/*.py``; an error ends it with one line."""
    run_or_explain(lambda: import_module(f'mmdark.cli.{name}').run(sys.argv[1:]))


def _no_command(name: str) -> str:
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    if close:
        return f"there is no command '{name}'; did you mean 'mmdark {close[0]}'?"
    if os.path.exists(name):
        return f"there is no command '{name}'; did you mean 'mmdark detect {name}'?"
    return f"there is no command '{name}': there are {', '.join(COMMANDS)}"


def register_everything() -> None:
    """Import :mod:`mmdark.register`.

    Raises:
        InputError: a package is missing or broken, or its version is not supported.
    """
    try:
        import_module('mmdark.register')
    except InputError:
        raise
    except Exception as error:  # an incompatible package can raise any exception at import
        lines = str(error).splitlines() or ['']
        raise InputError(
            f'mmdark cannot start ({type(error).__name__}: {lines[0]}): mmdark doctor says what to do'
        ) from error
