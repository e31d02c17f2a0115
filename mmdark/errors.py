"""Errors caused by user input, their one-line messages, and exit statuses."""

from __future__ import annotations

import re
import reprlib
import sys
from collections.abc import Callable


class InputError(ValueError):
    """User input is invalid; the message says in one line what is wrong, where, and how to fix it.

    Command-line tools print only this line and exit with status 1.
    """


INTERRUPTED = 130
"""Exit status after Ctrl-C, as in shells."""
TERMINATED = 143
"""Exit status after SIGTERM, as in shells."""
BUILD_ERRORS = re.compile(
    r'unexpected keyword argument|is not in the|missing \d+ required|must contain the key|rule must be specified|'
    'either all None or not None|should not be None when calling|batch_size should be a positive'
)
"""Messages of mmengine and Python that a wrong config causes."""
EMPTY_DATA = 'need at least one array to concatenate'
"""Part of mmengine's error message for a data set that is empty after filtering."""
ONE_VALUE = 'Expected more than 1 value per channel when training'
"""Start of torch's error message for batch norm with a single value per channel."""
LONGEST_MESSAGE = 290
"""Maximum characters of a message, so that a line with prefix ``error: `` or ``problem: `` has at most 300."""
_QUOTED = 60
_ELIDED = ' [...] '
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _QUOTED


def shown(value: object) -> str:
    r"""Format a value from a file for a message: on one line, at most 60 characters.

    Example:
        >>> shown('a\nb'), len(shown('a' * 1000)), shown([1, None])
        ("'a\\nb'", 60, '[1, None]')
    """
    text = _REPR.repr(value)
    return text if len(text) <= _QUOTED else f'{text[: _QUOTED - 3]}...'


def one_line(message: object, longest: int = LONGEST_MESSAGE) -> str:
    r"""Join a message to one line, and cut out its middle if it is longer than ``longest`` characters.

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
    """Raised on SIGTERM; a subclass of KeyboardInterrupt, so that handlers of Ctrl-C also handle it."""


def explanation(error: BaseException) -> str | None:
    """One-line message for an error caused by the input or the config; None for any other error."""
    text = str(error.args[0] if error.args else error)
    if 'Traceback (most recent call last)' in text:  # a data loader's worker prepends its traceback to the message
        text = text.rstrip().rpartition('InputError: ')[2]
    if isinstance(error, InputError):
        return text
    if isinstance(error, FileNotFoundError):
        return f'{error.filename or error} does not exist: name it in the config or with --cfg-options'
    if isinstance(error, ImportError) and 'pip install' in text:  # a missing package, such as TensorBoard
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
    """Run a tool; exit with one line on stderr and status 1 for an input error, and with 130 for Ctrl-C."""
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
