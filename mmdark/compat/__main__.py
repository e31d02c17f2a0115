"""Run a tool that knows nothing of the bridges: ``python -m mmdark.compat TOOL ARGS...``.

With mmcv-lite, mmdet's own tools import ``mmcv.ops`` before they read a config that could import mmdark.
"""

import importlib.util
import runpy
import sys
from pathlib import Path

import mmdark.register  # noqa: F401 builds the bridges, too
from mmdark.errors import InputError

USAGE = (
    'usage: python -m mmdark.compat TOOL ARGS...   '
    'TOOL is the path of a Python script, or PACKAGE:NAME such as mmdet:test for a tool that a package ships'
)


def find_tool(tool: str) -> Path:
    """The script that ``tool`` names.

    Args:
        tool: a path, or ``PACKAGE:NAME`` for ``PACKAGE/.mim/tools/NAME.py`` of an installed package.

    Raises:
        InputError: when there is no such script.
    """
    package, colon, name = tool.partition(':')
    if Path(tool).is_file():
        return Path(tool)
    if not colon or not package.isidentifier():
        raise InputError(f'no tool {tool}: there is no such file; {USAGE}')
    spec = importlib.util.find_spec(package)
    folders = [Path(folder) / '.mim' / 'tools' for folder in (spec and spec.submodule_search_locations) or ()]
    for folder in folders:
        script = folder / f'{name.removesuffix(".py")}.py'
        if script.is_file():
            return script
    raise InputError(f'no tool {tool}: package {package} is not installed or ships no tools/{name}.py; {USAGE}')


def main(arguments: list[str]) -> None:
    """Run the tool ``arguments[0]`` as ``__main__`` with the rest as its arguments."""
    if not arguments or arguments[0] in ('-h', '--help'):
        print(USAGE)
        raise SystemExit(0 if arguments else 2)
    try:
        script = find_tool(arguments[0])
        sys.argv = [str(script), *arguments[1:]]
        sys.path[0] = str(script.parent)
        runpy.run_path(str(script), run_name='__main__')
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == '__main__':
    main(sys.argv[1:])
