"""Which versions mmdark needs, as its installation says; read with Python alone."""

from __future__ import annotations

import operator
import re
from importlib.metadata import PackageNotFoundError, requires

COMPARE = {
    '>=': operator.ge,
    '<=': operator.le,
    '==': operator.eq,
    '!=': operator.ne,
    '>': operator.gt,
    '<': operator.lt,
}


def required_versions() -> dict[str, str]:
    """Package → bounds such as ``'<2.2.0,>=2.1.0'``, of mmdark and its extras; empty where it is not installed."""
    try:
        lines = requires('mmdark') or []
    except PackageNotFoundError:
        return {}
    found = (re.match(r'([\w.-]+)\s*\(?([^;)]*)', line) for line in lines)
    return {match[1]: match[2].strip() for match in found if match and match[2].strip()}


def fits(version: str, bounds: str) -> bool:
    """Whether a version lies within bounds; what follows the numbers (``+cpu``, ``rc1``) does not count.

    Example:
        >>> fits('2.13.0+cpu', '>=2.6'), fits('2.2.0', '<2.2.0,>=2.1.0')
        (True, False)
    """
    own = _numbers(version)
    parts = [re.fullmatch(r'\s*([<>=!]=?)\s*([\w.]+)\s*', part) for part in bounds.split(',') if part.strip()]
    return all(COMPARE[part[1]](own, _numbers(part[2])) for part in parts if part)


def shown(bounds: str) -> str:
    """Bounds with the lower one first, as a person writes them."""
    return ','.join(sorted(bounds.split(','), reverse=True))


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in re.match(r'[\d.]*', version)[0].split('.') if number]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
