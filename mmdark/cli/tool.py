"""Subcommands that are tools of the repository, run from where they lie."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location

from mmdark.cli import register_everything

TOOLS = {
    'train': 'train.py',
    'test': 'test.py',
    'convert': 'model_converters/published_to_mmdark.py',
    'benchmark': 'analysis_tools/benchmark.py',
}
"""Subcommand → its file below ``tools/``."""


def run_tool(command: str, arguments: list[str]) -> int:
    """Run the tool of a subcommand; its help calls it ``mmdark COMMAND``, which :mod:`runpy` would not let it.

    Raises:
        InputError: mmdark cannot start, or the tool is nowhere.
        SystemExit: as the tool ends itself.
    """
    register_everything()
    from mmdark.apis import run_or_explain, tool_path

    script = tool_path(TOOLS[command])
    spec = spec_from_file_location(f'mmdark_{command}', script)
    tool = sys.modules[spec.name] = module_from_spec(spec)
    argv, path = sys.argv, list(sys.path)
    sys.argv = [f'mmdark {command}', *arguments]
    sys.path.insert(0, str(script.parent))
    try:
        spec.loader.exec_module(tool)
        run_or_explain(tool.main)
    finally:
        sys.argv, sys.path[:] = argv, path
    return 0
