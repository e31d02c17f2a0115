"""Read a config and the files that it inherits; errors are one line."""

from __future__ import annotations

import ast
import inspect
import os
import re
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmdark.errors import InputError

RUNNER_KEYS = {*inspect.signature(Runner.__init__).parameters, 'custom_imports', 'find_unused_parameters', 'sync_bn'}
TOOL_KEYS = {'auto_scale_lr', 'tta_by_default', 'tta_model', 'tta_pipeline'}
"""Config keys that tools read, in addition to the Runner's. All other names are variables."""
BASE = '_base_'
SUFFIXES = ('.py', '.json', '.yaml', '.yml')
_CLASH = re.compile(r"^(\w+)=.* cannot inherit from base because .* of type <class '([\w.]+)'>", re.DOTALL)
_SCOPES = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, eq=False)
class ConfigFile:
    """One file of a config.

    Attributes:
        path: absolute path.
        text: content of the file.
        tree: syntax tree; None for JSON, YAML, and mmengine's new style with imports.
        bases: the files that it inherits, in order; an entry that only mmengine can find (``mmdet::…``) is a string.
    """

    path: Path
    text: str
    tree: ast.Module | None
    bases: tuple[ConfigFile | str, ...]

    @property
    def base_files(self) -> list[ConfigFile]:
        """The bases that were read as files."""
        return [base for base in self.bases if isinstance(base, ConfigFile)]

    @cached_property
    def names(self) -> set[str]:
        """The names that the file sets at top level."""
        return {name for statement in (self.tree.body if self.tree else ()) for name in set_names(statement)} - {BASE}

    @cached_property
    def names_below(self) -> set[str]:
        """The names that its bases set."""
        return {name for base in self.base_files for name in base.names | base.names_below}

    @cached_property
    def names_read(self) -> set[str]:
        """The names that its own code reads."""
        nodes = ast.walk(self.tree) if self.tree else ()
        return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}

    @cached_property
    def literals(self) -> dict[str, Any]:
        """The variables that are set once, to a literal; without dicts, which are merged with those of a base."""
        found = {}
        set_at = [(statement, [*set_names(statement)]) for statement in (self.tree.body if self.tree else ())]
        often = Counter(name for _, names in set_at for name in names)
        for statement, names in set_at:
            if isinstance(statement, ast.Assign) and len(names) == 1 == often[names[0]]:
                with suppress(TypeError, ValueError):
                    found[names[0]] = ast.literal_eval(statement.value)
        return {name: value for name, value in found.items() if not isinstance(value, dict) and '{{' not in repr(value)}

    def chain(self) -> Iterator[ConfigFile]:
        """Yield the file, its bases, and their bases."""
        yield self
        for base in self.base_files:
            yield from base.chain()


def set_names(node: ast.AST) -> Iterator[str]:
    """The names that a statement sets in its own scope."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    if not isinstance(node, _SCOPES):
        for child in ast.iter_child_nodes(node):
            yield from set_names(child)


def read_config(path: str | Path) -> tuple[ConfigFile, Config]:
    """Read the files of a config and the config that mmengine builds from them.

    Raises:
        InputError: a file is missing, is not a config, inherits itself, or its code fails.
    """
    file = read_file(Path(path))
    try:
        return file, Config.fromfile(path)
    except InputError:
        raise
    except Exception as error:  # a config is a program and can raise any exception
        raise InputError(_explained(file, path, error)) from error


def read_file(path: Path, heirs: tuple[Path, ...] = ()) -> ConfigFile:
    """Parse a config and the files that it inherits, without running them.

    Raises:
        InputError: a file is missing, is not a config, or inherits itself.
    """
    place = Path(os.path.abspath(path.expanduser()))  # like mmengine, which does not resolve links
    if heirs and not path.exists():
        raise InputError(f'config {heirs[-1]}: the file {path} in its _base_ does not exist')
    if path.is_dir():
        raise InputError(f'config {path} is a folder: name a file in it')
    if path.suffix not in SUFFIXES:
        raise InputError(f'config {path} ends in {path.suffix!r}: a config is a file named *{", *".join(SUFFIXES)}')
    if place.resolve() in (heir.resolve() for heir in heirs):
        raise InputError(f'config {path} inherits itself, through the _base_ of {heirs[-1]}: take one of them out')
    text = _text(path)
    if path.suffix != '.py' or _is_new_style(path, text):
        return ConfigFile(place, text, None, ())
    tree = _parsed(path, text)
    bases = (
        entry if '::' in entry else read_file(path.parent / entry, (*heirs, place))
        for entry in _base_entries(path, tree)
    )
    return ConfigFile(place, text, tree, tuple(bases))


def _text(path: Path) -> str:
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        raise InputError(f'config {path} is no text in UTF-8: name another file, or save it as UTF-8') from None
    except OSError as error:
        raise InputError(f'config {path} cannot be read ({error.strerror}): name another file') from None
    if text.startswith('\ufeff'):
        raise InputError(f'config {path} begins with a byte order mark (BOM): save it as UTF-8 without one')
    return text


def _is_new_style(path: Path, text: str) -> bool:
    """Whether mmengine reads the file as a config of the new style, with imports."""
    try:
        ast.parse(text)
        return Config._is_lazy_import(str(path))
    except (SyntaxError, ValueError):
        return False


def _parsed(path: Path, text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        if '{{' in text:  # a placeholder that mmengine replaces before it parses
            return None
        place = f'line {error.lineno}: {error.msg}: {(error.text or "").strip()}'
        raise InputError(f'config {path} cannot be read ({place}): mend it, or name another') from None
    except ValueError as error:
        raise InputError(f'config {path} is no text ({error}): name another file') from None


def _base_entries(path: Path, tree: ast.Module | None) -> list[str]:
    """The entries of ``_base_``; none if it is computed."""
    for statement in tree.body if tree else ():
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == BASE:
            try:
                entries = ast.literal_eval(statement.value)
            except ValueError:
                return []
            entries = [entries] if isinstance(entries, str) else entries
            if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, str) for entry in entries):
                raise InputError(f'config {path}: _base_ is {entries!r}: name a file, or a list of files')
            return list(entries)
    return []


def _explained(file: ConfigFile, path: str | Path, error: Exception) -> str:
    """Why mmengine could not evaluate a config."""
    said = ' '.join(str(error.args[0] if len(error.args) == 1 else error).split())
    if 'Duplicate key is not allowed' in said:
        return f'the config cannot be built: Duplicate key is not allowed among bases: {_duplicates(file)}'
    if isinstance(error, ImportError) and error.__cause__ and 'custom' in said:
        return f'config {path}: custom_imports: {error.__cause__}; install it, or name its folder in PYTHONPATH'
    if clash := _CLASH.match(said):
        key, kind = clash.groups()
        return (
            f"config {path}: '{key}' is a dict, but in the _base_ it is of the type {kind}: "
            'write it as there, or put _delete_=True into the dict to replace it'
        )
    code = {str(part.path) for part in file.chain()}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in code:
            return f'config {frame.filename}, line {frame.lineno}: {type(error).__name__}: {said}'
    return f'config {path} cannot be read ({type(error).__name__}: {said}): mend it, or name another'


def _duplicates(file: ConfigFile) -> str:
    """The two bases of a file that set the same name, and the remedy."""
    for part in file.chain():
        for first, second in combinations(part.base_files, 2):
            both = (first.names | first.names_below) & (second.names | second.names_below)
            if both:
                return (
                    f'{first.path} and {second.path} both set {", ".join(sorted(both))}; let one inherit the other, or '
                    'write what differs into your config (docs/training.md, "Another backbone", has an example)'
                )
    return 'let one of them inherit the other'
