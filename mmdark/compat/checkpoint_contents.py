"""Check the types of a checkpoint's entries, and prevent text in it from being run as a config."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from mmdark.errors import InputError

CONFIG_TEXT = 'config_text'
"""Entry of ``meta`` to which the text of the config is moved; mmengine writes it as ``cfg``."""
Kinds = Mapping[str, tuple[type, ...]]
_NAMES = {dict: 'dict', list: 'list', str: 'text', Integral: 'whole number', Real: 'number'}

OF_ALL: Kinds = {
    'state_dict': (dict,),
    'meta': (dict,),
    'meta.cfg': (str,),
    'meta.config_name': (str,),
    'meta.converted_from': (str,),
    'meta.dataset_meta': (dict,),
    'meta.experiment_name': (str,),
    'message_hub': (dict,),
    'message_hub.runtime_info': (dict,),
}
"""Entry that mmdark reads from any checkpoint → its type if it exists."""


def check_kinds(checkpoint: Mapping[str, Any], kinds: Kinds, name: str, needed: bool = False) -> None:
    """Check the types of entries.

    Args:
        checkpoint: the checkpoint as read.
        kinds: dotted names of entries → their types; an entry must precede those inside it.
        name: name of the checkpoint, for the error message.
        needed: whether the entries must exist; otherwise they may be missing or None.

    Raises:
        InputError: an entry has another type, or is missing.
    """
    for key, types in kinds.items():
        value: Any = checkpoint
        for part in key.split('.'):
            value = (value or {}).get(part)
        if (value is None and not needed) or (isinstance(value, types) and not isinstance(value, bool)):
            continue
        found = 'missing' if value is None else f'a {type(value).__name__}'
        raise InputError(
            f'checkpoint {name}: its {key} is {found}, where a {_NAMES[types[0]]} is needed: name another checkpoint, '
            'or ask whoever made it for the weights alone'
        )


def settle_contents(checkpoint: dict[str, Any], name: str) -> None:
    """Check the entries that all readers rely on, and move the texts of configs to where nothing runs them.

    ``Runner.resume`` runs ``meta.config``, and mmdet's ``DetInferencer`` runs ``message_hub.runtime_info.cfg`` or
    ``meta.cfg`` if it is given no config. The last is kept as ``meta.config_text``.

    Args:
        checkpoint: modified in place.
        name: name of the checkpoint, for the error message.

    Raises:
        InputError: an entry has an unexpected type.
    """
    for key in ('meta', 'message_hub', 'state_dict'):
        if checkpoint.get(key, key) is None:
            del checkpoint[key]
    check_kinds(checkpoint, OF_ALL, name)
    weights = checkpoint.get('state_dict', checkpoint)
    if strange := next((key for key in weights if not isinstance(key, str)), None):
        raise InputError(
            f'checkpoint {name} names a weight by a {type(strange).__name__}, not by a text: name another file'
        )
    meta = checkpoint.get('meta', {})
    for key, names in (meta.get('dataset_meta') or {}).items():
        if str(key).lower() == 'classes' and not _are_texts([names] if isinstance(names, str) else names):
            raise InputError(
                f'checkpoint {name}: its meta.dataset_meta.{key} is no list of texts: name another checkpoint'
            )
    meta.pop('config', None)
    if 'cfg' in meta:
        meta[CONFIG_TEXT] = meta.pop('cfg')
    (checkpoint.get('message_hub', {}).get('runtime_info') or {}).pop('cfg', None)


def _are_texts(names: Any) -> bool:
    return isinstance(names, list | tuple) and all(isinstance(one, str) for one in names)
