"""A tool of ``tools/`` as a shell would see it, but in this process, which has imported everything."""

from __future__ import annotations

import io
import runpy
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

from tests.tiny_wider import ROOT


def run_tool(tool: str, *arguments: object) -> CompletedProcess:
    """``tools/TOOL.py ARGUMENTS...``: its exit status, and what it prints."""
    command, status = [tool, *map(str, arguments)], 0
    with patch('sys.argv', command), redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as errors:
        try:
            runpy.run_path(str(ROOT / 'tools' / f'{tool}.py'), run_name='__main__')
        except SystemExit as end:
            status = 1 if isinstance(end.code, str) else end.code or 0
            if isinstance(end.code, str):
                print(end.code, file=errors)
    return CompletedProcess(command, status, out.getvalue(), errors.getvalue())
