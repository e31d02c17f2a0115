"""The tools of ``tools/dataset_converters``, run in this process."""

from __future__ import annotations

import runpy
import sys

import pytest

from tests.tiny_wider import ROOT


def run(name: str, *arguments: object) -> None:
    """The tool's main program in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', [name, *map(str, arguments)])
        runpy.run_path(str(ROOT / 'tools' / 'dataset_converters' / f'{name}.py'), run_name='__main__')


def fault(name: str, *arguments: object) -> str:
    """The one line with which the tool ends."""
    with pytest.raises(SystemExit) as caught:
        run(name, *arguments)
    line = caught.value.code
    assert isinstance(line, str) and line.startswith('error: ') and '\n' not in line
    return line
