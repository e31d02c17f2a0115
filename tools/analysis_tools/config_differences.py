"""What one config changes in another, key by key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile

from mmengine.config import Config

ABSENT = 'absent'
"""Stands for the value of a key that is not there."""


def config_differences(
    main: Config, other: Config, ignored: Sequence[str] = ('work_dir',)
) -> dict[str, tuple[object, object]]:
    """Dotted key → (value in ``main``, value in ``other``), as deep as both have it.

    A step of a list is named by its place; where steps were taken out or put in, by the places in ``main`` that
    others took. Variables, whose names begin with an underscore, are left out.

    Args:
        main: the config that is changed.
        other: what became of it.
        ignored: patterns (``*``, ``?``) of keys that do not count.

    Example:
        >>> main = Config(dict(model=dict(width=64, depth=5)))
        >>> config_differences(main, Config(dict(model=dict(width=32, depth=5))))
        {'model.width': (64, 32)}
    """
    old, new = (
        {key: value for key, value in cfg._cfg_dict.to_dict().items() if not key.startswith('_')}
        for cfg in (main, other)
    )
    return {
        key: pair for key, pair in _compare(old, new, '') if not any(fnmatchcase(key, pattern) for pattern in ignored)
    }


def _compare(old: object, new: object, key: str) -> Iterator[tuple[str, tuple[object, object]]]:
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = {name: (old.get(name, ABSENT), new.get(name, ABSENT)) for name in {**old, **new}}
    elif _has_steps(old) and _has_steps(new) and len(old) == len(new):
        pairs = dict(enumerate(zip(old, new, strict=True)))
    elif _has_steps(old) and _has_steps(new):
        start = _equal_steps(old, new)
        end = min(_equal_steps(old[::-1], new[::-1]), min(len(old), len(new)) - start)
        yield f'{key}.{start}:{len(old) - end}', (old[start : len(old) - end], new[start : len(new) - end])
        return
    else:
        if old != new:
            yield key, (old, new)
        return
    for name, (one, another) in pairs.items():
        yield from _compare(one, another, f'{key}.{name}' if key else name)


def _has_steps(value: object) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(step, (dict, list, tuple)) for step in value)


def _equal_steps(one: Sequence, other: Sequence) -> int:
    """How many steps at the beginning are equal."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))
