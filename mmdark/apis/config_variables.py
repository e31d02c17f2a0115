"""The variables of a config: a value that is set once holds in all files that the config inherits.

mmengine evaluates a base before the config that inherits it: ``train_cfg = dict(max_iters=max_iters)`` in a base has
the base's value, whatever the config sets. Here the files are evaluated again with the values of the config.
"""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmdark.errors import InputError

from .config_differences import config_differences
from .config_files import BASE, RUNNER_KEYS, TOOL_KEYS, ConfigFile, set_names

Values = dict[str, Any]
SAME_AS = {'total_steps': 'max_iters', 'T_max': 'max_iters'}
"""Names under which a schedule has the value of a variable."""


def is_variable(name: str) -> bool:
    """Whether a name at the top of a config is a variable that other files share; ``_name`` is its own file's."""
    return not name.startswith('_') and name not in RUNNER_KEYS | TOOL_KEYS


def with_variables(file: ConfigFile, cfg: Config, given: Mapping[str, Any]) -> Config:
    """A config in which each variable has one value in all files.

    That of ``given``, or of the file that inherits the others. A list or dict that describes modules (a pipeline) is
    passed on by a file only if that file does not use it itself.

    Args:
        file: of the config.
        cfg: the config as mmengine reads it.
        given: new values of variables.

    Raises:
        InputError: a base fails with the values.
    """
    if not given and not any(_overriding(part) for part in file.chain()):
        return cfg
    with TemporaryDirectory() as folder:
        copies = _Copies(Path(folder))
        try:
            found = copies.read(
                copies.write(file, {name: value for name, value in given.items() if _is_literal(value)})
            )
        except InputError:
            raise
        except Exception as error:
            names = ', '.join({*given} | {name for part in file.chain() for name in _overriding(part)})
            said = f'{type(error).__name__}: {" ".join(str(error).split())}'
            raise InputError(f'config {file.path}: its _base_ fails with the new values of {names} ({said})') from error
    for name in sorted(_overriding(file) & file.names_read - given.keys()):
        _say_where(file, name, cfg, found)
    return Config(found._cfg_dict, cfg_text=cfg.text, filename=cfg.filename, env_variables=cfg.env_variables)


def _say_where(file: ConfigFile, name: str, before: Config, after: Config) -> None:
    """Say which places of the bases follow a variable that the config puts into places itself."""
    places = [
        key
        for key, (_, new) in config_differences(before, after).items()
        if key.split('.')[0] in RUNNER_KEYS and new == after[name]
    ]
    if places:
        print_log(
            f'{name} of {file.path.name} holds in its _base_, too: {", ".join(places)}; give it another name if these '
            'should stay as they were',
            logger='current',
            level=logging.WARNING,
        )


def _overriding(file: ConfigFile) -> set[str]:
    """The variables that a file sets, as its bases do, and that it passes on to them with another value."""
    both = set(filter(is_variable, file.names & file.names_below))
    same = {
        name
        for name in both & file.literals.keys()
        if all(base.literals.get(name, ...) == file.literals[name] for base in file.chain() if name in base.names)
    }
    return both - same - (file.names_read & _module_names(file))


def _module_names(file: ConfigFile) -> set[str]:
    """The names that are set to something in whose expression a module is described."""
    described = [
        statement
        for statement in (file.tree.body if file.tree else ())
        if any(isinstance(node, ast.keyword) and node.arg == 'type' for node in ast.walk(statement))
    ]
    return {name for statement in described for name in set_names(statement)}


class _Copies:
    """Copies of config files in which variables have other values.

    Args:
        folder: where they are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[tuple[Path, str], Path] = {}
        self.values: dict[Path, Config] = {}

    def read(self, path: Path) -> Config:
        if path not in self.values:
            self.values[path] = Config.fromfile(path, import_custom_modules=False)
        return self.values[path]

    def write(self, file: ConfigFile, given: Values) -> Path:
        """A copy in which ``given`` holds, here and in the bases, and after it what the file itself sets."""
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
    """Whether the file sets a variable that describes modules, and puts it where it belongs."""
    return name in file.names & file.names_read and describes_modules(value)


def describes_modules(value: object) -> bool:
    """Whether a value is, or holds, a dict with a ``type``."""
    if isinstance(value, dict):
        return 'type' in value or any(map(describes_modules, value.values()))
    return isinstance(value, (list, tuple)) and any(map(describes_modules, value))


def _check_kind(file: ConfigFile, name: str, value: object) -> None:
    """Refuse a text in place of a number, a number in place of a text, and ``500,``, which is a tuple."""
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
        tree: the code; it is changed.
        bases: paths for ``_base_``; where there are none, it stays.
        values: set again after each statement that sets one of these names.
        everywhere: those that are written in, too, where the code has the old value under the variable's name, as the
            config that a training leaves in its work directory.
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
    """Replace the old value of a variable where it is written out under the variable's name."""

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

    def _value(self, name: object, value: ast.expr) -> ast.expr:
        name = SAME_AS.get(name, name)
        return _literal(self.new[name]) if self.old.get(name) == ast.dump(value) else value
