"""Limit how often a message is logged."""

from __future__ import annotations

import time

MINUTE = 60.0


class OnceAMinute:
    """Callable that returns True at most once a minute for each kind of message.

    Example:
        >>> may_log = OnceAMinute()
        >>> may_log('full disk'), may_log('full disk'), may_log('no network')
        (True, False, True)
    """

    def __init__(self) -> None:
        self._logged_at: dict[str, float] = {}

    def __call__(self, kind: str) -> bool:
        """Whether a message of this kind may be logged now."""
        now = time.monotonic()
        if now - self._logged_at.get(kind, float('-inf')) < MINUTE:
            return False
        self._logged_at[kind] = now
        return True
