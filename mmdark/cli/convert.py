"""``mmdark convert``: the tool of the repository."""

from __future__ import annotations

from mmdark.cli.tool import run_tool


def run(arguments: list[str]) -> int:
    """Run ``tools/model_converters/published_to_mmdark.py``."""
    return run_tool('convert', arguments)
