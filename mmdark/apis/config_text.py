"""The text of a config, formatted once: mmengine formats it anew whenever it is asked for."""

from __future__ import annotations

from mmengine.config import Config

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
