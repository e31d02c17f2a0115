"""All error lines of mmdark: what stands in the source after ``InputError(``, ``sys.exit(`` and the like.

A line has ``…`` in place of what is known at run time only: ``checkpoint … does not exist: check the path``.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

RAISED = {'InputError', 'SystemExit', 'exit', 'ArgumentTypeError'}
"""Functions whose first argument is a line for the user."""
PRINTED = 'error: '
"""How a line begins that is printed as an error."""
GAP = '…'
DEPTH = 4
"""So many names and calls are followed, one through another."""


def error_lines(*folders: Path) -> dict[str, list[str]]:
    """Each line of the Python files below ``folders``, and the places (``file:line``) that print it.

    Lines that hold nothing but what is known at run time are left out. Of shell scripts, what their ``stop`` says.
    """
    found = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.rglob('*.sh')):
            for said in re.findall(r'\bstop "([^"]+)"', path.read_text(encoding='utf-8')):
                line = f'{path.stem}: ' + re.sub(r'(\$\{[^}]*\}|\$\w+)+', GAP, said)
                found[line].append(str(path.relative_to(folder.parent)))
        for path in sorted(folder.rglob('*.py')):
            for line, number in _lines_of(ast.parse(path.read_text(encoding='utf-8'))):
                found[line].append(f'{path.relative_to(folder.parent)}:{number}')
    return dict(found)


def _lines_of(module: ast.Module) -> Iterator[tuple[str, int]]:
    for scope in ast.walk(module):
        if not isinstance(scope, (ast.Module, ast.FunctionDef)):
            continue
        for call in _own_nodes(scope):
            if isinstance(call, ast.Call) and call.args and _prints_its_argument(call.func):
                for text in _Texts(module, scope).of(call.args[0]):
                    if ast.unparse(call.func) == 'print' and not text.startswith(PRINTED):
                        continue
                    line = re.sub(f'{GAP}+', GAP, text.removeprefix(PRINTED).strip())
                    if len(re.findall('[A-Za-z]', line)) > 3:
                        yield line, call.lineno


def _prints_its_argument(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):  # parser.error(...), not logger.error(...)
        return function.attr == 'exit' or (function.attr == 'error' and 'pars' in ast.unparse(function.value))
    return isinstance(function, ast.Name) and function.id in {*RAISED, 'print'}


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Those that do not stand in a function within."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from _own_nodes(child)


class _Texts:
    """What a string expression may read, as far as the source says it.

    Args:
        module: where constants and functions stand.
        scope: the function that the expression stands in.
    """

    def __init__(self, module: ast.Module, scope: ast.AST) -> None:
        self.module, self.scope = module, scope

    def of(self, node: ast.expr, depth: int = DEPTH) -> list[str]:
        """All alternatives."""
        if isinstance(node, ast.Constant):
            return [str(node.value)] if isinstance(node.value, str) else [GAP]
        if isinstance(node, ast.JoinedStr):
            return self._product(node.values, depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._product([node.left, node.right], depth)
        if isinstance(node, ast.IfExp):
            return self.of(node.body, depth) + self.of(node.orelse, depth)
        if isinstance(node, ast.FormattedValue):
            return self.of(node.value, depth)
        if depth and isinstance(node, ast.Name):
            return self._assigned(node.id, depth - 1)
        if depth and isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._returned(node.func.id, depth - 1)
        return [GAP]

    def _product(self, nodes: list[ast.expr], depth: int) -> list[str]:
        return [''.join(parts) for parts in itertools.product(*(self.of(node, depth) for node in nodes))]

    def _assigned(self, name: str, depth: int) -> list[str]:
        """What a name of the function, else of the module, is set to; unknown where it is a parameter or a loop's."""
        if isinstance(self.scope, ast.FunctionDef) and name in ast.unparse(self.scope.args):
            return [GAP]
        for scope in (self.scope, self.module):
            values = [
                node.value
                for node in _own_nodes(scope)
                if isinstance(node, ast.Assign)
                and ast.unparse(node.targets[0]) == name
                and not _names(node.value, name)
            ]
            if values:
                return list(dict.fromkeys(text for value in values for text in self.of(value, depth)))
        return [GAP]

    def _returned(self, name: str, depth: int) -> list[str]:
        for function in self.module.body:
            if isinstance(function, ast.FunctionDef) and function.name == name:
                inside = _Texts(self.module, function)
                values = [
                    node.value
                    for node in _own_nodes(function)
                    if isinstance(node, ast.Return) and node.value is not None
                ]
                return list(dict.fromkeys(text for value in values for text in inside.of(value, depth))) or [GAP]
        return [GAP]


def _names(node: ast.expr, name: str) -> bool:
    """Whether an expression is made from what ``name`` was before."""
    return any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node))
