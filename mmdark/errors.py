"""The one kind of error that is the input's fault and not the program's."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that says what is wrong, where, and how to mend it; the command line tools print only that
    line and exit with status 1.
    """
