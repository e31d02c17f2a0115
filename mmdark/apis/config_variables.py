"""Config variables: a new value applies to all files that the config inherits.

mmengine evaluates a base before the config that inherits it, so ``train_cfg = dict(max_iters=max_iters)`` in a base
keeps the base's value. Here, copies of the files are evaluated in which the variables have the new values.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.config import Config

from mmdark.errors import InputError

from .config_files import BASE, RUNNER_KEYS, TOOL_KEYS, ConfigFile, set_names

Values = dict[str, Any]
SAME_AS = {'total_steps': 'max_iters', 'T_max': 'max_iters'}
"""Key of a schedule → the variable whose value it has."""


def is_variable(name: str) -> bool:
    """Whether a top-level name is a variable that other files share; ``_name`` is private to its file."""
    return not name.startswith('_') and name not in RUNNER_KEYS | TOOL_KEYS


def with_variables(file: ConfigFile, cfg: Config, given: Mapping[str, Any]) -> Config:
    """Evaluate a config so that each variable has one value in all files, from ``given`` or the outermost file.

    A file passes a list or dict that describes modules (a pipeline) on to its bases only if it does not use it itself.

    Args:
        file: file of the config.
        cfg: the config as mmengine reads it.
        given: new values of variables.

    Raises:
        InputError: a base raises an error with the new values.
    """
    if not given and not any(_overriding(part) for part in file.chain()):
        return cfg
    with TemporaryDirectory() as folder:
        copies = _Copies(Path(folder))
        try:
            literals = {name: value for name, value in given.items() if _is_literal(value)}
            values = copies.read(copies.write(file, literals))
        except InputError:
            raise
        except Exception as error:
            names = ', '.join({*given} | {name for part in file.chain() for name in _overriding(part)})
            fault = f'its _base_ fails with the new values of {names} ({type(error).__name__}: '
            raise InputError(f'config {file.path}: {fault}{" ".join(str(error).split())})') from error
    return Config(values._cfg_dict, cfg_text=cfg.text, filename=cfg.filename, env_variables=cfg.env_variables)


def _overriding(file: ConfigFile) -> set[str]:
    """The variables of the bases that a file sets to another value, which then also applies to the bases."""
    both = set(filter(is_variable, file.names & file.names_below))
    same = {
        name
        for name in both & file.literals.keys()
        if all(base.literals.get(name, ...) == file.literals[name] for base in file.chain() if name in base.names)
    }
    return both - same - (file.names_read & _module_names(file))


def _module_names(file: ConfigFile) -> set[str]:
    """The names set by statements that describe a module, by ``type=``."""
    described = [
        statement
        for statement in (file.tree.body if file.tree else ())
        if any(isinstance(node, ast.keyword) and node.arg == 'type' for node in ast.walk(statement))
    ]
    return {name for statement in described for name in set_names(statement)}


class _Copies:
    """Copies of config files, in a folder, in which variables have other values."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[tuple[Path, str], Path] = {}
        self.values: dict[Path, Config] = {}

    def read(self, path: Path) -> Config:
        if path not in self.values:
            self.values[path] = Config.fromfile(path, import_custom_modules=False)
        return self.values[path]

    def write(self, file: ConfigFile, given: Values) -> Path:
        """Write a copy in which ``given`` applies to the file and its bases; others have the value of this file."""
        if file.tree is None:
            return file.path
        given = {name: value for name, value in given.items() if name in file.names | file.names_below}
        for name in given.keys() & file.literals.keys():
            _check_kind(file, name, given[name])
        key = file.path, repr(given)
        if key not in self.written:
            own: Values = {}
            if new := _overriding(file) - given.keys():
                own = {name: file.literals[name] for name in new & file.literals.keys()}
                if new - own.keys():
                    values = self.read(self._write(file, given, own))
                    own |= {name: values[name] for name in new - own.keys() if _is_literal(values.get(name))}
                own = {name: value for name, value in own.items() if not _is_used_here(file, name, value)}
            self.written[key] = self._write(file, given, own)
        return self.written[key]

    def _write(self, file: ConfigFile, given: Values, own: Values) -> Path:
        passed_on = {name: value for name, value in {**given, **own}.items() if not _is_used_here(file, name, value)}
        values = {**{name: value for name, value in own.items() if not isinstance(value, dict)}, **given}
        bases = [base if isinstance(base, str) else str(self.write(base, passed_on)) for base in file.bases]
        text = re.sub(r'\{\{\s*fileDirname\s*\}\}', file.path.parent.as_posix(), file.text)
        path = self.folder / str(len(list(self.folder.iterdir()))) / file.path.name
        path.parent.mkdir()
        path.write_text(ast.unparse(_changed(ast.parse(text), bases, values, given)), encoding='utf-8')
        return path


def _is_used_here(file: ConfigFile, name: str, value: object) -> bool:
    """Whether the file sets a variable that describes modules and uses it."""
    return name in file.names & file.names_read and describes_modules(value)


def describes_modules(value: object) -> bool:
    """Whether a value is, or holds, a dict with a ``type``."""
    if isinstance(value, dict):
        return 'type' in value or any(map(describes_modules, value.values()))
    return isinstance(value, (list, tuple)) and any(map(describes_modules, value))


def _check_kind(file: ConfigFile, name: str, value: object) -> None:
    """Reject a string for a number, a number for a string, and ``500,``, which is a tuple."""
    old = file.literals[name]
    comma = isinstance(value, tuple) and len(value) == 1 and not isinstance(old, (list, tuple))
    kinds = [str if isinstance(each, str) else float for each in (old, value) if isinstance(each, (int, float, str))]
    if comma or (len(kinds) == 2 and kinds[0] is not kinds[1]):
        raise InputError(f'{name} is {value!r}, but {old!r} in {file.path}: give it a value of that kind')


def _is_literal(value: object) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (SyntaxError, ValueError):
        return False


def _literal(value: object) -> ast.expr:
    return ast.parse(repr(value), mode='eval').body


def _changed(tree: ast.Module, bases: list[str], values: Values, everywhere: Values) -> ast.Module:
    """Code with other bases, in which variables have other values.

    Args:
        tree: the code; modified in place.
        bases: paths for ``_base_``; if empty, ``_base_`` is unchanged.
        values: values that are set again after each statement that sets one of these names.
        everywhere: values that also replace the old value wherever it has the variable's name as its key, as in the
            config that a training writes into its work directory.
    """
    old = {}
    body = []
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            old[statement.targets[0].id] = statement.value
            if statement.targets[0].id == BASE and bases:
                statement.value = _literal(bases)
        body.append(statement)
        for name in sorted(values.keys() & {*set_names(statement)}):
            body.append(ast.Assign([ast.Name(name, ast.Store())], _literal(values[name])))
    written = {name: ast.dump(old[name]) for name in everywhere.keys() & old.keys()}
    tree.body = body
    return ast.fix_missing_locations(_WriteIn(written, everywhere).visit(tree))


class _WriteIn(ast.NodeTransformer):
    """Replace the old value of a variable wherever it has the variable's name as its key."""

    def __init__(self, old: dict[str, str], new: Values) -> None:
        self.old, self.new = old, new

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        self.generic_visit(node)
        node.value = self._value(node.arg, node.value)
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.Dict:
        self.generic_visit(node)
        names = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        node.values = [self._value(name, value) for name, value in zip(names, node.values, strict=True)]
        return node

    def _value(self, name: Any, value: ast.expr) -> ast.expr:
        name = SAME_AS.get(name, name)
        return _literal(self.new[name]) if self.old.get(name) == ast.dump(value) else value
