"""The one kind of error that is the input's fault and not the program's, its line, and how a run ends early."""

import reprlib
import sys
from collections.abc import Callable


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that says what is wrong, where, and how to mend it; the command line tools print only that
    line and exit with status 1.
    """


INTERRUPTED = 130
"""Exit status of what was ended by Ctrl-C, as shells have it."""
TERMINATED = 143
"""Exit status of what was ended by SIGTERM, as shells have it."""
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
    """SIGTERM came; whoever ends well after Ctrl-C ends well after this, too."""


def run_or_say(main: Callable[[], None]) -> None:
    """Run a tool; what is the input's fault ends it with one line on stderr and status 1.

    As ``mmdark.apis.run_or_explain`` does for tools that need torch.
    """
    try:
        main()
    except InputError as error:
        sys.exit(f'error: {one_line(error)}')
