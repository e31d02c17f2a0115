"""``mmdark config``: list the configs that come with mmdark, or write one out to change it."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

from mmdark.cli import register_everything
from mmdark.configs import find_config, own_configs
from mmdark.errors import InputError
from mmdark.whole_file import write_whole

DESCRIPTION = """\
List the configs that come with mmdark, or write one of them into a file of your own.

examples:
  mmdark config                                             the names
  mmdark config retinanet_r18_wider_dark --out my.py        with all that it inherits; needs no other file
  mmdark config retinanet_r18_wider_dark --out my.py --inherit    two lines: inherits it from where mmdark lies
  mmdark train my.py"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    parsed = argparse.ArgumentParser(
        'mmdark config', description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsed.add_argument('name', nargs='?', help='of a config, or the path of one (default: list the names)')
    parsed.add_argument('--out', metavar='FILE', help='*.py, a new file (default: print the config)')
    parsed.add_argument('--inherit', action='store_true', help='inherit it by its absolute path')
    return parsed


def run(arguments: list[str]) -> int:
    """List, print or write.

    Raises:
        InputError: there is no such config, it is broken, or the file cannot be written or is there already.
    """
    args = parser().parse_args(arguments)
    if args.name is None:
        if args.out or args.inherit:
            raise InputError('which config? Give its name before --out or --inherit; mmdark config alone lists them')
        print(_list())
        return 0
    find_config(args.name)
    if args.out and not args.out.endswith('.py'):
        raise InputError(f'--out {args.out}: name it *.py')
    if args.out and Path(args.out).exists():
        raise InputError(f'--out {args.out} is there already: name another file, or remove it')
    register_everything()
    from mmdark.apis.whole_config import inheriting_config, whole_config

    code = (inheriting_config if args.inherit else whole_config)(args.name)
    if not args.out:
        print(code, end='')
        return 0
    write_whole(Path(args.out), code.encode(), '--out')
    print(f'{args.out}: {args.name}, {"inherited" if args.inherit else "with all that it inherits"}')
    return 0


def _list() -> str:
    """A line for each config: its name, and the first sentence of its docstring."""
    configs = own_configs()
    width = max(map(len, configs), default=0) + 2
    return '\n'.join(f'{name:<{width}}{_first_sentence(path)}' for name, path in sorted(configs.items()))


def _first_sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
    return ' '.join(text.partition('\n\n')[0].split())
