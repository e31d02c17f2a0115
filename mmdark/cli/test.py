"""``mmdark test``: the tool of the repository."""

from __future__ import annotations

from mmdark.cli.tool import run_tool


def run(arguments: list[str]) -> int:
    """Run ``tools/test.py``."""
    return run_tool('test', arguments)
