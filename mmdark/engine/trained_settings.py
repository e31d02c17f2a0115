"""Read the settings stored in a checkpoint and compare them with those of another config."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

ABSENT = 'absent'
LONGEST = 60
"""Maximum number of characters of a value that are shown."""


def read_settings(text: str) -> dict[str, Any]:
    """Parse the variables of a config without running it; values that are not literals are kept as source text."""
    try:
        body = ast.parse(text).body
        return {ast.unparse(line.targets[0]): _value(line.value) for line in body if isinstance(line, ast.Assign)}
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError):  # nested too deeply, or not a config
        return {}


def changed_settings(old: object, new: object, key: str = '') -> Iterator[str]:
    """Yield ``key old → new`` for each difference, with nested keys as long as both values are dicts or lists."""
    pairs: dict[str, tuple[object, object]] = {}
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = {name: (old.get(name, ABSENT), new.get(name, ABSENT)) for name in {**old, **new}}
    elif (
        isinstance(old, list)
        and isinstance(new, list)
        and len(old) == len(new)
        and any(isinstance(item, dict) for item in new)
    ):
        pairs = {str(index): pair for index, pair in enumerate(zip(old, new, strict=True))}
    elif old != new:
        yield f'{key} {_shown(old)} → {_shown(new)}'
    for name, (old_value, new_value) in pairs.items():
        yield from changed_settings(old_value, new_value, f'{key}.{name}' if key else name)


def _value(node: ast.expr) -> object:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == 'dict':
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True) if key}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f'{text[:LONGEST]}...'
