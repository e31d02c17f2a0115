"""The one kind of error that is the input's fault and not the program's, and the exit status after Ctrl-C."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that says what is wrong, where, and how to mend it; the command line tools print only that
    line and exit with status 1.
    """


INTERRUPTED = 130
"""Exit status of what was ended by Ctrl-C, as shells have it."""
