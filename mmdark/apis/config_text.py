"""The text of a config, formatted once: mmengine formats it anew whenever it is asked for."""

from __future__ import annotations

import errno
import logging
import os
from contextlib import suppress

from mmengine.config import Config
from mmengine.logging import print_log

from mmdark.whole_file import FULL

_last: dict[str, str] = {}
"""The content of the config that was last formatted → its text."""


class FormattedOnce(Config):
    """A config whose text is formatted again only if its content has changed, copies included.

    A Runner asks for it four times when it starts (log, message hub, visualizer, work directory), and yapf takes about
    half a second each time.
    """

    @property
    def pretty_text(self) -> str:
        """The formatted text."""
        content = repr(self._cfg_dict)
        if content not in _last:
            text = super().pretty_text
            _last.clear()
            _last[content] = text
        return _last[content]

    def dump(self, file: str | os.PathLike | None = None) -> str | None:
        """Write the text into a file, or return it; a full disk costs the file and a line."""
        try:
            return super().dump(file)
        except OSError as error:
            if error.errno not in (*FULL, errno.EFBIG):
                raise
            with suppress(OSError):
                os.unlink(file)
            print_log(f'{file} could not be written ({error.strerror})', 'current', logging.WARNING)
            return None
