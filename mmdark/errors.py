"""The one kind of error that is the input's fault and not the program's, and how a run ends that was told to."""

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


class Terminated(KeyboardInterrupt):
    """SIGTERM came; whoever ends well after Ctrl-C ends well after this, too."""


def run_or_say(main: Callable[[], None]) -> None:
    """Run a tool; what is the input's fault ends it with one line on stderr and status 1.

    As ``mmdark.apis.run_or_explain`` does for tools that need torch.
    """
    try:
        main()
    except InputError as error:
        sys.exit(f'error: {error}')
