"""Options that several commands share."""

from __future__ import annotations

import argparse
import re

from mmdark.errors import InputError


def positive(text: str) -> int:
    """Parse a positive integer, for argparse's ``type``.

    Raises:
        argparse.ArgumentTypeError: the number is less than 1.

    Example:
        >>> positive('3')
        3
    """
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text}: 1 or more')
    return int(text)


def in_options(error: InputError) -> InputError:
    """Replace Python argument names in an error message by the options of the command.

    Example:
        >>> str(in_options(InputError('name them (weights=FILE.pth)')))
        'name them (--weights FILE.pth)'
    """
    return InputError(re.sub(r'(--(?:weights|model) \S+, )?\b(weights|model)=(?=[A-Z])', r'--\2 ', str(error)))


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options that training and testing share."""
    from mmengine.config import DictAction

    parser.add_argument('config', help='config file, or the name of one of ours')
    parser.add_argument('--work-dir', help='where logs and checkpoints go (default: work_dirs/<config name>)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='settings that differ from the config'
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)
