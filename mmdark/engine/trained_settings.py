"""The settings of a training as its checkpoints hold them, and what another config changes in them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

ABSENT = 'absent'
"""Stands for the value of a key that is not there."""
LONGEST = 60
"""So many letters of a value are shown."""


def read_settings(text: str) -> dict[str, Any]:
    """The variables of a config's text, of which no code is run; what is no plain value stands as it is written.

    Args:
        text: as a Runner writes it into ``meta.cfg`` of a checkpoint.
    """
    try:
        body = ast.parse(text).body
        return {ast.unparse(line.targets[0]): _value(line.value) for line in body if isinstance(line, ast.Assign)}
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError):  # deep, or no text of a config
        return {}


def changed_settings(old: object, new: object, key: str = '') -> Iterator[str]:
    """``key old → new``, as deep as both settings have the key."""
    pairs: dict[str, tuple[object, object]] = {}
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = {name: (old.get(name, ABSENT), new.get(name, ABSENT)) for name in {**old, **new}}
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and any(map(_is_dict, new)):
        pairs = {str(place): pair for place, pair in enumerate(zip(old, new, strict=True))}
    elif old != new:
        yield f'{key} {_shown(old)} → {_shown(new)}'
    for name, (one, other) in pairs.items():
        yield from changed_settings(one, other, f'{key}.{name}' if key else name)


def _value(node: ast.expr) -> object:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == 'dict':
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True)}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f'{text[:LONGEST]}...'
