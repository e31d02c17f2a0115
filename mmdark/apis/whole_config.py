"""Write a config and everything it inherits as one file that can be edited."""

from __future__ import annotations

import ast
import math
from keyword import iskeyword
from typing import Any

from mmengine.config import Config

import mmdark
from mmdark.configs import find_config
from mmdark.errors import InputError

from .config_files import ConfigFile, read_config
from .config_variables import SAME_AS, describes_modules, is_variable, with_variables

WIDTH = 120
INDENT = ' ' * 4
FIRST = ('default_scope', 'custom_imports', 'model')
"""Settings that are written before the others."""
PLAIN = (bool, int, float, complex, str, bytes)
MORE = {str: 'x', int: 1, float: 0.125}
"""Value added to a variable of this type to find the settings that depend on it."""


def whole_config(given: str) -> str:
    """The code of a config and everything it inherits, as ``mmdark train`` reads it, in one file.

    A variable such as ``data_root`` or ``train_pipeline`` is set once and named where it is used. A variable from which
    others are computed, such as ``input_size``, is left out, because setting it would not change them.

    Args:
        given: path of a config, or name of a config of mmdark.

    Raises:
        InputError: the config does not exist, is broken, or contains classes, as in MMEngine's new style.
    """
    file, cfg = read_config(find_config(given))
    cfg = with_variables(file, cfg, {})
    settings: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    for key, value in cfg._cfg_dict.to_dict().items():
        if not key.startswith('_'):
            (variables if is_variable(key) else settings)[key] = value
    settings = {key: settings[key] for key in sorted(settings, key=lambda key: key not in FIRST)}
    scalars = {name: value for name, value in variables.items() if _all_follow(file, cfg, settings, name, value)}
    modules: dict[str, Any] = {}
    for name, value in variables.items():
        if describes_modules(value) and value not in modules.values() and _holds(settings, value):
            modules[name] = value
    parts = [
        _docstring(file, given, 'with all that it inherits'),
        _assignments(scalars, {}, {}),
        _assignments(modules, scalars, {}),
        _assignments(settings, scalars, modules),
    ]
    return '\n\n'.join(filter(None, parts)) + '\n'


def inheriting_config(given: str) -> str:
    """The code of a config that inherits another one by its absolute path and changes nothing.

    Raises:
        InputError: the config does not exist or is broken.
    """
    file, _ = read_config(find_config(given))
    comment = '# Where this config lies now: write the file anew if the environment moves. What differs goes below.'
    return f'{_docstring(file, given, "inheriting it")}\n\n{comment}\n_base_ = [{str(file.path)!r}]\n'


def _docstring(file: ConfigFile, given: str, how: str) -> str:
    """The docstring of the config, with its origin."""
    text = (ast.get_docstring(file.tree) if file.tree else '') or ''
    origin = f'Written by ``mmdark config`` {mmdark.__version__} from {given}, {how}.'
    return '"""' + '\n\n'.join(filter(None, [text.replace('\\', '\\\\'), origin])) + '\n"""'


def _all_follow(file: ConfigFile, cfg: Config, settings: dict, name: str, value: Any) -> bool:
    """Whether changing a number or string variable changes exactly the settings with its name as their key."""
    if type(value) not in MORE:
        return False
    other = value + MORE[type(value)]
    expected = _with_value(settings, name, value, other)
    if expected == settings:
        return False
    try:
        changed = with_variables(file, cfg, {name: other})._cfg_dict.to_dict()
    except InputError:  # something is computed from it, and fails
        return False
    return expected == {key: changed[key] for key in settings}


def _with_value(node: Any, name: str, old: Any, new: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: new if _stands_for(name, key, old, value) else _with_value(value, name, old, new)
            for key, value in node.items()
        }
    if isinstance(node, (list, tuple)):
        return type(node)(_with_value(item, name, old, new) for item in node)
    return node


def _stands_for(name: str, key: Any, value: Any, other: Any) -> bool:
    """Whether the setting ``key`` with the value ``other`` stands for the variable ``name``."""
    return SAME_AS.get(key, key) == name and type(other) is type(value) and other == value


def _holds(node: Any, value: Any) -> bool:
    if node == value:
        return True
    items = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    return any(_holds(item, value) for item in items)


def _assignments(values: dict[str, Any], scalars: dict[str, Any], modules: dict[str, Any]) -> str:
    """A statement ``name = value`` for each."""
    return '\n'.join(f'{name} = {_code(value, "", scalars, modules, len(name) + 3)}' for name, value in values.items())


def _code(value: Any, indent: str, scalars: dict[str, Any], modules: dict[str, Any], before: int) -> str:
    """The code of a value, in lines of at most 120 characters if possible.

    Args:
        value: value in a config.
        indent: indentation of its first line.
        scalars: variables that replace equal values whose key is their name.
        modules: variables that replace equal values everywhere.
        before: number of characters before the value in its line.

    Raises:
        InputError: the value contains something other than strings, numbers, lists and dicts.
    """
    for name, module in modules.items():
        if value == module:
            return name
    if isinstance(value, dict):
        keywords = all(isinstance(key, str) and key.isidentifier() and not iskeyword(key) for key in value)
        opening, closing = ('dict(', ')') if keywords else ('{', '}')
        items = [(f'{key}=' if keywords else f'{key!r}: ', key, item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        opening, closing = '[]' if isinstance(value, list) else ('(', ',)' if len(value) == 1 else ')')
        items = [('', None, item) for item in value]
    elif isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    elif value is None or isinstance(value, PLAIN):
        return repr(value)
    else:
        raise InputError(f'the config cannot be written out: {value!r} is no plain value; write it with --inherit')
    deeper = indent + INDENT
    parts = []
    for label, key, item in items:
        variable = next((name for name, value in scalars.items() if _stands_for(name, key, value, item)), None)
        parts.append(label + (variable or _code(item, deeper, scalars, modules, len(deeper + label) + 1)))
    line = opening + ', '.join(parts) + closing
    if '\n' not in line and before + len(line) <= WIDTH:
        return line
    lines = ''.join(f'{deeper}{part},\n' for part in parts)
    return f'{opening}\n{lines}{indent}{closing.removeprefix(",")}'
