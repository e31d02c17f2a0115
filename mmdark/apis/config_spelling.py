"""Find misspelt config keys, which nothing reads."""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping

from mmdet.registry import HOOKS
from mmengine.config import Config

from mmdark.errors import InputError

from .config_files import RUNNER_KEYS, TOOL_KEYS, ConfigFile

RUNNER_KEY, VARIABLE, SETTING = 0.8, 0.85, 0.9
"""Minimum similarity of two keys (difflib's ratio); variables and settings are more often similar on purpose."""
PARAMWISE = {'lr_mult', 'decay_mult', 'custom_keys', 'bypass_duplicate', 'dcn_offset_lr_mult'}
PARAMWISE |= {f'{part}_{kind}' for part in ('bias', 'norm', 'flat', 'dwconv') for kind in ('lr_mult', 'decay_mult')}
READ = {
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'optim_wrapper.paramwise_cfg': PARAMWISE,
}
"""Section → the settings that mmengine reads; it ignores others."""
FREE = ('custom_keys',)
"""Dicts whose keys are chosen by the user."""


def check_spelling(file: ConfigFile, cfg: Config) -> None:
    """Reject a new key that nothing reads and that is spelt almost like a known key.

    The known keys are, at top level, those of the Runner and the variables of the bases; in a section, those of the
    bases.

    Raises:
        InputError: there is such a key.
    """
    files = list(file.chain())
    for part in files:
        others = [other for other in files if other is not part]
        known = RUNNER_KEYS | part.names_below
        for name in sorted(part.names - known - TOOL_KEYS - part.names_read):
            new = known - part.names
            close = (
                close_key(name, new & RUNNER_KEYS, RUNNER_KEY)
                or close_key(name, new - TOOL_KEYS, VARIABLE)
                or close_key(name, new & TOOL_KEYS, SETTING)
            )
            if close and not any(re.search(rf'\b{name}\b', other.text) for other in others):
                raise InputError(f"config {part.path}: nothing reads '{name}'; did you mean '{close}'?")
        suspects = list(_suspects(part, cfg))
        bases = _merged_bases(part) if suspects else {}
        for path, key, close in suspects:
            section = _at(bases, path)
            if close in section and key not in section:
                place = '.'.join(path)
                raise InputError(
                    f"config {part.path}: there is no '{key}' in {place} of its _base_; did you mean '{close}'?"
                )


def check_settings(path: str, cfg: Config) -> None:
    """Reject a misspelt setting that mmengine would ignore or that would raise an error in the middle of a training.

    Raises:
        InputError: there is such a setting.
    """
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    kind = HOOKS.get(checkpoint['type']) if isinstance(checkpoint.get('type'), str) else None
    signatures = [inspect.signature(base.__init__).parameters for base in (kind.__mro__ if kind else ())]
    read = {**READ, 'default_hooks.checkpoint': {name for signature in signatures for name in signature}}
    for section, known in read.items():
        for key in _at(cfg, section.split('.')).keys() - known:
            if close := close_key(key, known, VARIABLE):
                raise InputError(f"config {path}: {section} has no setting '{key}'; did you mean '{close}'?")


def close_key(key: str, known: Iterable[str], cutoff: float) -> str | None:
    """The known key that was probably meant; a key that differs only by a number (``train_pipeline2``) is correct."""
    close = difflib.get_close_matches(key, [name for name in known if not name.startswith('_')], n=1, cutoff=cutoff)
    numbered = close and re.sub(r'_?\d+', '', key) == re.sub(r'_?\d+', '', close[0])
    return close[0] if close and not key.startswith('_') and not numbered else None


def _suspects(file: ConfigFile, cfg: Config) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(section, key, similar key of the whole config) of one file with bases."""
    for statement in file.tree.body if file.tree and file.base_files else ():
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
            yield from _suspects_in(statement.value, cfg.get(name), (name,))


def _suspects_in(node: ast.expr, section: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    written = _written_keys(node)
    if not isinstance(section, dict) or '_delete_' in written or path[-1] in FREE:
        return
    for key, value in written.items():
        if close := close_key(key, section.keys() - written.keys(), SETTING):
            yield path, key, close
        yield from _suspects_in(value, section.get(key), (*path, key))


def _written_keys(node: ast.expr) -> dict[str, ast.expr]:
    """Key → value of ``dict(key=value)`` or ``{'key': value}``."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == 'dict':
        return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {
            key.value: value for key, value in pairs if isinstance(key, ast.Constant) and isinstance(key.value, str)
        }
    return {}


def _merged_bases(file: ConfigFile) -> dict:
    return {
        key: value
        for base in file.base_files
        for key, value in Config.fromfile(base.path, import_custom_modules=False).items()
    }


def _at(sections: Mapping | Config, path: Iterable[str]) -> Mapping:
    for key in path:
        sections = sections.get(key) if isinstance(sections, (Mapping, Config)) else None
    return sections if isinstance(sections, Mapping) else {}
