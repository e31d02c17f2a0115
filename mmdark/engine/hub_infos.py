"""A part of what a message hub holds, to be taken back if what it says does not come true."""

from __future__ import annotations

from typing import Any

from mmengine.logging import MessageHub


def infos_of(hub: MessageHub, prefixes: str | tuple[str, ...]) -> dict[str, Any]:
    """The entries of a message hub whose names begin so."""
    return {name: value for name, value in hub.runtime_info.items() if name.startswith(prefixes)}


def restore_infos(hub: MessageHub, prefixes: str | tuple[str, ...], before: dict[str, Any]) -> None:
    """Take back what has changed since :func:`infos_of`."""
    for name in infos_of(hub, prefixes):
        if name not in before:
            del hub.runtime_info[name]
    for name, value in before.items():
        hub.update_info(name, value)
