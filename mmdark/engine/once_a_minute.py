"""Say what goes wrong again and again, but not each time."""

from __future__ import annotations

import time

MINUTE = 60.0
"""Seconds between two lines of a kind."""


class OnceAMinute:
    """Whether a line may be said: once a minute for each kind of line.

    Example:
        >>> may_say = OnceAMinute()
        >>> may_say('full disk'), may_say('full disk'), may_say('no network')
        (True, False, True)
    """

    def __init__(self) -> None:
        self.said_at: dict[str, float] = {}

    def __call__(self, kind: str) -> bool:
        """True at most once a minute for this kind; the line then counts as said."""
        now = time.monotonic()
        if now - self.said_at.get(kind, float('-inf')) < MINUTE:
            return False
        self.said_at[kind] = now
        return True
