"""Errors that the input causes: their class, their line, and the exit status of a run that ends early."""

from __future__ import annotations

import re
import reprlib
import sys
from collections.abc import Callable


class InputError(ValueError):
    """Something the user gave cannot be used: one line says what is wrong, where, and how to mend it.

    The command line tools print only that line and exit with status 1.
    """


INTERRUPTED = 130
"""Exit status after Ctrl-C, as in shells."""
TERMINATED = 143
"""Exit status after SIGTERM, as in shells."""
BUILD_ERRORS = re.compile(
    r'unexpected keyword argument|is not in the|missing \d+ required|must contain the key|rule must be specified|'
    'either all None or not None|should not be None when calling|batch_size should be a positive'
)
"""Messages of mmengine and Python about a config."""
EMPTY_DATA = 'need at least one array to concatenate'
"""mmengine's message about a data set that is empty after filtering."""
ONE_VALUE = 'Expected more than 1 value per channel when training'
"""torch's message about batch norm that has nothing to average."""
LONGEST_MESSAGE = 290
"""Characters of a message, so that a line is at most 300 with ``error: `` or ``problem: `` before it."""
_QUOTED = 60
_ELIDED = ' [...] '
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _QUOTED


def shown(value: object) -> str:
    r"""What a file holds as a message quotes it: 60 characters at most, on one line.

    Example:
        >>> shown('a\nb'), len(shown('a' * 1000)), shown([1, None])
        ("'a\\nb'", 60, '[1, None]')
    """
    text = _REPR.repr(value)
    return text if len(text) <= _QUOTED else f'{text[: _QUOTED - 3]}...'


def one_line(message: object, longest: int = LONGEST_MESSAGE) -> str:
    r"""A message as it is printed: on one line, and without its middle where it is longer than ``longest`` characters.

    Example:
        >>> one_line('a\nb')
        'a b'
        >>> one_line('first ' + 'long ' * 1000 + 'last', 31)
        'first long l [...] ng long last'
    """
    line = ' '.join(str(message).splitlines())
    if len(line) <= longest:
        return line
    half = (longest - len(_ELIDED)) // 2
    return line[:half] + _ELIDED + line[-half:]


class Terminated(KeyboardInterrupt):
    """SIGTERM came; what handles Ctrl-C handles it, too."""


def explanation(error: BaseException) -> str | None:
    """One line for an error that the input or the config caused; None for any other."""
    text = str(error.args[0] if error.args else error)
    if 'Traceback (most recent call last)' in text:  # a worker of a data loader puts it before the message
        text = text.rstrip().rpartition('InputError: ')[2]
    if isinstance(error, InputError):
        return text
    if isinstance(error, FileNotFoundError):
        return f'{error.filename or error} does not exist: name it in the config or with --cfg-options'
    if isinstance(error, ImportError) and 'pip install' in text:  # a backend of mmengine's log, such as TensorBoard's
        return text
    if not isinstance(error, (TypeError, KeyError, ValueError, RuntimeError)):
        return None
    if EMPTY_DATA in text:
        return (
            'a data set has no image to train on: its annotation must hold faces, under the name that '
            "metainfo.classes gives ('face'; letter by letter)"
        )
    if ONE_VALUE in text:
        return (
            'batch norm cannot train on one value per channel, the single cell of the smallest map of one image; raise '
            'input_size or train_dataloader.batch_size, or leave out a last batch of one image with '
            'train_dataloader.drop_last=True'
        )
    line = next((line for line in text.splitlines() if BUILD_ERRORS.search(line)), None)
    return line and f'the config cannot be built: {line.split(", but got ")[0]}'


def run_or_explain(main: Callable[[], object]) -> None:
    """Run a tool; what the input caused ends it with one line on stderr and status 1, Ctrl-C with 130."""
    try:
        main()
    except KeyboardInterrupt:
        print('ended by Ctrl-C', file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        line = explanation(error)
        if line is None:
            raise
        sys.exit(f'error: {one_line(line)}')
